// Package calendar says when people are at work: hours by weekday in a named
// time zone, without holidays. It is pure.
package calendar

// Config is one entry of calendars.
type Config struct {
	Name string `koanf:"name"`
	// TZ is an IANA zone, such as America/Chicago. Default UTC.
	TZ string `koanf:"tz"`
	// Hours are ranges by days: {mon-fri: "08:00-18:00", sat: "09:00-12:00,
	// 13:00-15:00", "fri,sun": "22:00-06:00"}. A range whose end is not after its
	// begin lasts into the next day; "00:00-24:00" is the whole day.
	Hours map[string]string `koanf:"hours"`
	// Holidays are days, "2026-12-25", on which it opens not at all; a range that
	// began the evening before goes on into them until midnight ends it.
	Holidays []string `koanf:"holidays"`
	Line     int      `koanf:"-"`
}
