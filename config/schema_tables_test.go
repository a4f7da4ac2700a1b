package config_test

import (
	"datasync-bridge/datasync/remediation"
	"datasync-bridge/receiver/signature"
	"datasync-bridge/web"
)

var classes = []string{
	"connectivity", "authentication", "certificate", "configuration", "integrity", "partner", "validation", "mapping", "storage",
	"platform", "mdn_timeout", "mdn_negative", "functional_reject", "ack_overdue", "sla", "automation", "quarantine", "unknown", "bridge",
}

// closed are the texts of which a key takes only some; their types are plain.
var closed = map[string][]string{
	"web.User.roles":             {web.View, web.Operate, web.Approve},
	"signature.Config.scheme":    append(signature.Presets(), "custom", "none"),
	"signature.Secret.encoding":  {"utf8", "base64", "hex", "whsec"},
	"signature.Header.encoding":  {"hex", "base64"},
	"signature.Timestamp.format": {"unix", "unix_ms", "rfc3339"},
	"remediation.Config.mode":    {remediation.ModeOff, remediation.ModeDryRun, remediation.ModeApprove, remediation.ModeAuto},
	"remediation.Config.does":    {remediation.Resend, remediation.Reprocess, remediation.Regenerate},
	"routing.Escalate.unless":    {"acknowledged"},
	"mapping.Config.profile":     {"datasync"},
}

// examples are what an editor offers where the type alone says little.
var examples = map[string][]any{
	"signature.Config.signed":         {[]string{"{body}"}, []string{"{timestamp}", ".", "{body}"}},
	"routing.Defaults.time_zone":      {"UTC", "America/Chicago"},
	"routing.Rule.when":               {`transaction.amount >= 10000 && transaction.currency == "USD"`, `sla.due_at - received_at < duration("2h")`},
	"routing.Rule.notify":             {[]string{"edi-slack"}},
	"routing.Group.by":                {[]string{"partner.id", "class"}},
	"receiver.Config.trusted_proxies": {[]string{"10.0.0.0/8"}},
}

// patterns are the forms of texts whose types are plain.
var patterns = map[string]string{
	"remediation.Limit.per_transaction": `^\s*[0-9]{1,6}\s*/\s*\S+\s*$`,
	"remediation.Limit.per_partner":     `^\s*[0-9]{1,6}\s*/\s*\S+\s*$`,
	"remediation.Limit.overall":         `^\s*[0-9]{1,6}\s*/\s*\S+\s*$`,
	"remediation.Approve.two_above":     `^[0-9]{1,30}(\.[0-9]{0,15})?$`,
	"web.User.token_sha256":             `^[0-9a-f]{64}$`,
	"config.Notifier.name":              `^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`,
	"receiver.Source.name":              `^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`,
	"receiver.Source.path":              `^(/[A-Za-z0-9._~-]+)+$`,
}

// required are the keys without which an entry is refused whatever else it has.
var required = map[string][]string{
	"receiver.Source":      {"name", "path", "verify"},
	"signature.Config":     {"scheme"},
	"config.Notifier":      {"name"},
	"routing.Defaults":     {"notify"},
	"routing.Rule":         {"name"},
	"routing.Escalate":     {"after", "unless", "notify"},
	"routing.SeverityRule": {"severity"},
	"dispatch.Fallback":    {"to"},
	"web.User":             {"name", "token_sha256"},
}

// spoken describes keys whose fields have no comment, because their names say
// it all to whoever reads the code.
var spoken = map[string]string{
	"config.Config.server":                "The public listener: where Datasync posts its webhooks.",
	"config.Config.admin":                 "The admin listener: health, metrics and the API behind the commands.",
	"config.Config.store":                 "Where everything that the bridge knows is kept, and for how long.",
	"config.Config.sources":               "One entry per webhook subscription: an address and a way to verify what comes.",
	"config.Config.datasync":              "The Datasync API: for what webhooks miss, for partners' names, and for repairs.",
	"config.Config.outbound":              "How calls to Slack, PagerDuty and Datasync are made.",
	"config.Config.notifiers":             "Who is told: each has a name and exactly one of slack, pagerduty, terminal.",
	"config.Config.defaults":              "What holds where no rule says otherwise.",
	"config.Config.rules":                 "Rules run in this order, and every rule that matches counts.",
	"config.Config.remediations":          "Repairs that rules may ask for.",
	"config.Notifier.name":                "What rules call it.",
	"config.Notifier.slack":               "A Slack channel.",
	"config.Notifier.pagerduty":           "A PagerDuty service (Events API v2): it pages.",
	"config.Notifier.terminal":            "Messages printed where serve runs.",
	"config.Notifier.fallback":            "Who is told what this one did not accept.",
	"config.Notifier.retry":               "The patience to have with it.",
	"datasync.Config.client_id":           "The API client's id, from the console under Settings, API Access.",
	"datasync.Config.client_secret":       "The API client's secret.",
	"dispatch.Fallback.to":                "The notifier that is told instead; it must not page.",
	"receiver.Source.name":                "What the history and rules call it.",
	"receiver.Source.path":                "The path that Datasync posts to, such as /hooks/datasync.",
	"receiver.Source.mapping":             "How payloads are read: a profile and what differs from it.",
	"receiver.Source.verify":              "How a request proves that it comes from Datasync.",
	"remediation.Config.name":             "What rules call it.",
	"remediation.Config.workflow":         "The workflow's name in Datasync.",
	"remediation.Config.limit":            "How often it may run.",
	"remediation.Idempotent.confirmed_by": "Who tried that reprocessing twice does nothing twice.",
	"remediation.Limit.per_transaction":   "Runs for one transaction. Default 1/24h.",
	"remediation.Limit.per_partner":       "Runs for one partner. Default 5/1h.",
	"remediation.Limit.overall":           "Runs in all. Default 20/1h.",
	"remediation.Override.by":             "Who lifts it.",
	"remediation.Override.why":            "Why; the record repeats it.",
	"remediation.Override.document_types": "For these document types only.",
	"remediation.Override.classes":        "For these classes of failure only.",
	"routing.Defaults.group":              "How openings are gathered.",
	"routing.Escalate.after":              "How long after the opening.",
	"routing.Escalate.notify":             "Who is told then, besides those who know.",
	"routing.Escalate.unless":             "acknowledged is the only value: who has taken it stops the step.",
	"routing.RetryingAlert.attempts":      "After so many attempts.",
	"routing.RetryingAlert.after":         "After so long.",
	"routing.Rule.name":                   "What the history calls it; unique.",
	"routing.Rule.match":                  "Which events it is for; all keys must hold, none means every event.",
	"routing.Rule.severity":               "The severity that it gives; the highest of all rules counts.",
	"routing.Rule.notify":                 "Who is told, by name. Without it the rule adds nobody.",
	"routing.Rule.why":                    "Why events are dropped; the history repeats it.",
	"routing.Rule.group":                  "How openings are gathered; the first rule that sets a key decides it.",
	"routing.Rule.escalate":               "Who else is told after a time.",
	"routing.Rule.remediate":              "The repair that is asked for, by name.",
	"routing.SeverityRule.match":          "Which events it is for; the last entry matches all.",
	"routing.SeverityRule.severity":       "The severity that they have.",
	"signature.Config.secrets":            "The live keys; any of them may match.",
	"signature.Config.signature":          "Where the signature stands and how it is written.",
	"signature.Config.timestamp":          "Where the signed time stands.",
	"signature.Config.id":                 "Where the sender's id of a delivery stands.",
	"signature.Header.header":             "The header's name.",
	"signature.Header.prefix":             "What stands before the signature, such as sha256=.",
	"signature.Header.list_separator":     "What parts several signatures in one header.",
	"signature.ID.header":                 "The header that holds it.",
	"signature.ID.path":                   "The payload path that holds it.",
	"signature.ID.unsigned":               "Whether the signature leaves it out; it then counts only together with the body.",
	"signature.ID.paths":                  "Payload paths that make it together.",
	"signature.Secret.id":                 "What logs call the key.",
	"signature.Secret.value":              "The key.",
	"signature.Timestamp.header":          "The header that holds it.",
	"signature.Timestamp.key":             "The key of its pair in the signature's header.",
	"signature.Timestamp.tolerance":       "How far from now it may be.",
	"slack.Config.token":                  "A bot's token with chat:write.",
	"slack.Config.channel":                "The channel's id, from its About tab.",
	"store.Config.sqlite":                 "The file.",
	"store.Config.retain":                 "How long what is over is kept.",
	"web.Config.tls":                      "The certificate; needed where the listener is not on loopback.",
	"web.Config.users":                    "Who may use the API. Without users a token for this machine is made.",
	"web.TLS.cert":                        "The certificate's file.",
	"web.TLS.key":                         "The key's file.",
	"web.User.name":                       "What the record of deeds calls them.",
}
