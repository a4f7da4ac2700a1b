package receiver_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestBodiesAreTakenByteForByte(t *testing.T) {
	b := start(t, setup{})
	form := "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n1\r\n--x--\r\n\r\n"
	for i, tt := range []struct{ kind, body string }{
		{"multipart/form-data; boundary=x", form},
		{"application/x-www-form-urlencoded", "payload=%7B%7D&a=+"},
		{"application/json; charset=utf-16", "{\"type\":\"x\xff\x00\"}"},
		{"text/plain", strings.Repeat("long ", 100_000)},
	} {
		h := signature1([]byte(tt.body))
		h.Set("Content-Type", tt.kind)
		for _, chunked := range []bool{false, true} {
			reader := bytes.NewReader([]byte(tt.body))
			var r reply
			if chunked {
				r = b.do(http.MethodPost, "/hooks/datasync", struct{ *onlyRead }{&onlyRead{reader}}, h)
			} else {
				r = b.do(http.MethodPost, "/hooks/datasync", reader, h)
			}
			if r.EventID != eventID(i) {
				t.Errorf("%s, chunked %v: %d %s", tt.kind, chunked, r.http, r.raw)
			}
		}
		if got := b.inbox.all()[i]; string(got.Body) != tt.body {
			t.Errorf("%s: stored %d bytes that differ from the %d sent", tt.kind, len(got.Body), len(tt.body))
		}
	}
}

func TestASenderThatAsksFirstIsToldToContinue(t *testing.T) {
	b := start(t, setup{})
	text := `{"type":"x","data":"` + strings.Repeat("y", 200_000) + `"}`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+b.addr+"/hooks/datasync", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = signature1([]byte(text))
	req.Header.Set("Expect", "100-continue")
	res, err := (&http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: 10 * time.Second}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if got := b.inbox.all(); res.StatusCode != http.StatusAccepted || len(got) != 1 || string(got[0].Body) != text {
		t.Errorf("answer %d, %d events", res.StatusCode, len(got))
	}
}

func TestManyRequestsOnOneConnectionKeepTheirOwnTexts(t *testing.T) {
	b := start(t, setup{})
	reuse := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}, Timeout: 20 * time.Second}
	t.Cleanup(reuse.CloseIdleConnections)
	for i := range 50 {
		text := `{"id":"evt_` + strings.Repeat(string(rune('a'+i%26)), 1+i%7) + `","type":"t.` + strings.Repeat(string(rune('z'-i%26)), 1+i%5) + `"}`
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+b.addr+"/hooks/datasync", strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = signature1([]byte(text))
		res, err := reuse.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, res.Body)
		if err = errors.Join(err, res.Body.Close()); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range b.inbox.all() { // kept texts must not be views into a reused buffer
		var sent struct{ ID, Type string }
		if err := json.Unmarshal(r.Body, &sent); err != nil || r.ForeignID != sent.ID || r.Type != sent.Type || r.Source != "datasync" {
			t.Errorf("kept id %q and type %q for %s", r.ForeignID, r.Type, r.Body)
		}
	}
}

// onlyRead hides a reader's length, so that it is sent in chunks.
type onlyRead struct{ r *bytes.Reader }

func (o *onlyRead) Read(p []byte) (int, error) { return o.r.Read(p) }
