package main

import (
	"fmt"
	"strings"
	"sync"
)

const bodyLimit = 1 << 20

// bodies are bombs of JSON inside the limit of a body, each validly signed, and
// then the same without a signature that fits.
func bodies() []hostility {
	bombs := bombs()
	all := make([]hostility, 0, len(bombs)+4)
	var texts [][]byte
	for _, b := range bombs {
		all = append(all, hostility{b.name, taken(b.body), b.answer, signedLimit})
		texts = append(texts, b.body)
	}
	return append(all,
		hostility{"32 of the widest objects at once", atOnce(32), "202 accepted", burstLimit},
		hostility{"all of these with a wrong signature", missigned(sign(nil), texts...), "401 signature_mismatch", memoryLimit},
		hostility{"all of these with a torn signature", missigned("sha256=abc", texts...), "401 signature_malformed", memoryLimit},
		hostility{"all of these without a signature", missigned("", texts...), "401 signature_missing", memoryLimit},
	)
}

type bomb struct {
	name, answer string
	body         []byte
}

func bombs() []bomb {
	const accepted, quarantined = "202 accepted", "202 quarantined"
	deep := strings.Repeat("[", 60) + strings.Repeat("]", 60)
	var all []bomb
	add := func(name, answer, body string) {
		if len(body) > bodyLimit {
			panic(fmt.Sprintf("%s has %d bytes", name, len(body)))
		}
		all = append(all, bomb{name, answer, []byte(body)})
	}
	add("64 levels, all that may be", accepted, failing("levels", `"x":`+strings.Repeat("[", 61)+strings.Repeat("]", 61)))
	add("65 levels", quarantined, failing("more levels", `"x":`+strings.Repeat("[", 63)+strings.Repeat("]", 63)))
	add("1 MiB of [", quarantined, strings.Repeat("[", bodyLimit))
	add(`170,000 times {"a":`, quarantined, strings.Repeat(`{"a":`, 170_000))
	add("520,000 levels, closed again", quarantined, strings.Repeat("[", 520_000)+strings.Repeat("]", 520_000))
	add("an object of 110,000 keys", accepted, failing("keys", widest(110_000)))
	add("200,000 empty keys", accepted, failing("empty", filled(`"":0`, 200_000)))
	add("the type 95,000 times", accepted, `{`+filled(`"type":"a"`, 95_000)+`}`)
	add("data 100,000 times", accepted, `{"type":"transaction.failed",`+filled(`"data":{}`, 100_000)+`}`)
	add("a list of 500,000 numbers", accepted, failing("numbers", `"x":[`+filled("1", 500_000)+`]`))
	add("a list of 300,000 objects", accepted, failing("objects", `"x":[`+filled("{}", 300_000)+`]`))
	add("a list of 300,000 lists", accepted, failing("lists", `"x":[`+filled("[]", 300_000)+`]`))
	add("250,000 errors of an acknowledgment", accepted, failing("errors", `"acknowledgment":{"errors":[`+filled(`"e"`, 250_000)+`]}`))
	add("8,000 lists of 60 levels", accepted, failing("deep and wide", `"x":[`+filled(deep, 8_000)+`]`))
	add("100,000 references", accepted, failing("references", `"transaction":{"id":"many","references":{`+strings.TrimPrefix(widest(100_000), `"x":{`)+`}`))
	add("a number of 1 MiB for an amount", accepted, failing("amount", `"transaction":{"id":"amount","amount":`+strings.Repeat("9", bodyLimit-200)+`}`))
	add("a number of 1 MiB for an id", accepted, failing("id", `"transaction":{"id":`+strings.Repeat("9", bodyLimit-200)+`}`))
	add("an exponent of 1 MiB", accepted, failing("exponent", `"transaction":{"id":"exponent","amount":1e`+strings.Repeat("9", bodyLimit-200)+`}`))
	add("a message of 170,000 escapes", accepted, failing("escapes", `"error":{"message":"`+strings.Repeat(`\u0041`, 170_000)+`"}`))
	add("a message of 170,000 lone surrogates", accepted, failing("surrogates", `"error":{"message":"`+strings.Repeat(`\ud800`, 170_000)+`"}`))
	add("a message of 1 MiB that is no UTF-8", accepted, failing("bytes", `"error":{"message":"`+strings.Repeat("\xff ", 520_000)+`"}`))
	add("a message of 300,000 line breaks", accepted, failing("lines", `"error":{"message":"`+strings.Repeat(`a\n`, 300_000)+`"}`))
	add("a name of 1 MiB of <!channel>", accepted, failing("calls", `"partner":{"id":"p","name":"`+strings.Repeat("<!channel>", 104_000)+`"}`))
	add("a name of 260,000 emoji", accepted, failing("emoji", `"partner":{"id":"p","name":"`+strings.Repeat("😀", 260_000)+`"}`))
	add("two keys of 500 KB", accepted, failing("long keys", `"`+strings.Repeat("k", 500_000)+`":1,"`+strings.Repeat("l", 500_000)+`":2`))
	add("every mapped text of 20 KB", accepted, everyText(20_000))
	add("a type of 1 MiB", quarantined, `{"type":"`+strings.Repeat("x", bodyLimit-100)+`"}`)
	add("an envelope's id of 1 MiB", accepted, `{"type":"transaction.failed","id":"`+strings.Repeat("x", bodyLimit-100)+`"}`)
	add("1 MiB of blanks", quarantined, strings.Repeat(" ", bodyLimit))
	add("1 MiB of NUL", quarantined, strings.Repeat("\x00", bodyLimit))
	add("1 MiB of backslashes in a text that never ends", quarantined, `{"type":"`+strings.Repeat(`\`, bodyLimit-10))
	return all
}

// failing is a failure of its own partner, with more in its data.
func failing(id, more string) string {
	return `{"type":"transaction.failed","id":"hostile ` + id + `","data":{"partner_id":"` + id + `",` + more + `}}`
}

func filled(item string, times int) string {
	return strings.TrimSuffix(strings.Repeat(item+",", times), ",")
}

// widest is a member x whose object has so many keys.
func widest(keys int) string {
	var out strings.Builder
	out.WriteString(`"x":{`)
	for i := range keys {
		if i > 0 {
			out.WriteByte(',')
		}
		fmt.Fprintf(&out, `"%x":0`, i)
	}
	out.WriteString("}")
	return out.String()
}

// everyText fills the texts that end in messages.
func everyText(size int) string {
	long := `"` + strings.Repeat("long ", size/5) + `"`
	return `{"type":"transaction.failed","id":"hostile texts","data":{
		"transaction":{"id":` + long + `,"document_type":` + long + `,"document_name":` + long + `,"direction":` + long + `,"standard":` + long + `,
			"references":{"po_number":` + long + `,"load_number":` + long + `,` + long + `:` + long + `}},
		"partner":{"id":` + long + `,"name":` + long + `},
		"error":{"code":` + long + `,"category":` + long + `,"message":` + long + `},
		"transport":{"protocol":` + long + `},"mdn":{"disposition":` + long + `},
		"acknowledgment":{"status":` + long + `,"errors":[` + long + `,` + long + `]}}}`
}

// atOnce posts so many of the widest objects beside each other. The last of
// them to be stored is the last to be planned.
func atOnce(times int) func(s *served) (answers, id string) {
	return func(s *served) (answers, id string) {
		s.t.Helper()
		seen, ids := make([]string, times), make([]string, times)
		var posters sync.WaitGroup
		for i := range times {
			posters.Go(func() {
				body := failing(fmt.Sprint("wide ", i), widest(110_000))
				a, err := post(hurried, s.public, []byte(body))
				if err != nil {
					s.t.Errorf("no answer: %v", err)
				}
				seen[i], ids[i] = fmt.Sprintf("%d %s", a.Status, a.Code), a.EventID
			})
		}
		posters.Wait()
		for _, one := range ids {
			id = max(id, one)
		}
		return distinct(seen), id
	}
}
