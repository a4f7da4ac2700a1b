package event

import (
	"fmt"
	"strings"
)

// Severity is the one scale used everywhere. Its zero value is "not set".
type Severity uint8

// From least to most urgent. They compare with < and >.
const (
	Info Severity = iota + 1
	Warning
	Error
	Critical
)

// Severities lists the scale in ascending order.
var Severities = []Severity{Info, Warning, Error, Critical}

func (s Severity) String() string {
	switch s {
	case Info:
		return "info"
	case Warning:
		return "warning"
	case Error:
		return "error"
	case Critical:
		return "critical"
	}
	return ""
}

// MarshalText gives the name used in configuration and JSON.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText accepts exactly the four names; the empty text is "not set".
func (s *Severity) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*s = 0
		return nil
	}
	for _, v := range Severities {
		if v.String() == string(text) {
			*s = v
			return nil
		}
	}
	return fmt.Errorf("%q is no severity; use info, warning, error or critical", text)
}

// Effect is what an event type does to incidents.
type Effect string

// The effects (routing rule 10).
const (
	Open   Effect = "open"
	Settle Effect = "settle"
	Note   Effect = "note"
	None   Effect = "none"
)

// UnmarshalText accepts the four effects; the empty text is "not set".
func (e *Effect) UnmarshalText(text []byte) error {
	switch v := Effect(text); v {
	case "", Open, Settle, Note, None:
		*e = v
		return nil
	}
	return fmt.Errorf("%q is no effect; use open, settle, note or none", text)
}

// UnmarshalText accepts production and sandbox; the empty text is "not set",
// so that what has none can be stored and read again.
func (e *Environment) UnmarshalText(text []byte) error {
	switch v := Environment(text); v {
	case Production, Sandbox, "":
		*e = v
		return nil
	}
	return fmt.Errorf("%q is no environment; use production or sandbox", text)
}

// Class is the failure class, which decides grouping and what may be repaired.
type Class string

// The classes. Shared ones have a cause that many transactions share, so they
// group by partner; the others group by transaction.
const (
	Connectivity     Class = "connectivity"
	Authentication   Class = "authentication"
	Certificate      Class = "certificate"
	Configuration    Class = "configuration"
	Integrity        Class = "integrity"
	PartnerFault     Class = "partner"
	Validation       Class = "validation"
	MappingFault     Class = "mapping"
	Storage          Class = "storage"
	Platform         Class = "platform"
	MDNTimeout       Class = "mdn_timeout"
	MDNNegative      Class = "mdn_negative"
	FunctionalReject Class = "functional_reject"
	AckOverdue       Class = "ack_overdue"
	SLA              Class = "sla"
	AutomationFault  Class = "automation"
	QuarantineClass  Class = "quarantine"
	UnknownClass     Class = "unknown"
	BridgeClass      Class = "bridge"
)

// Categories are the values of error.category that name a class directly.
var Categories = []Class{
	Connectivity, Authentication, Certificate, Configuration, Integrity,
	PartnerFault, Validation, MappingFault, Storage, Platform,
}

// Shared reports whether failures of the class usually have one cause per
// partner (routing rule 12).
func (c Class) Shared() bool {
	switch c {
	case Connectivity, Authentication, Certificate, Configuration, Storage, Platform:
		return true
	}
	return false
}

// Words returns the class as prose: "functional reject".
func (c Class) Words() string {
	switch c {
	case MDNTimeout:
		return "no MDN yet, delivery unknown"
	case MDNNegative:
		return "negative MDN"
	case AckOverdue:
		return "acknowledgment overdue"
	case SLA:
		return "SLA"
	}
	return strings.ReplaceAll(string(c), "_", " ")
}
