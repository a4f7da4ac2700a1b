package receiver_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"testing"
	"time"

	"datasync-bridge/receiver"
	"datasync-bridge/receiver/signature"
)

// The signature's own tests flip every byte in every way and for every preset;
// here it is the listener that must not lose or mend one on the way.
func TestAnyFlippedByteIs401AndNotStored(t *testing.T) {
	inbox := &memory{}
	standard := source(func(s *receiver.Source) {
		s.Verify = &signature.Config{Scheme: "standard-webhooks", Secrets: []signature.Secret{{ID: "s1", Value: secret, Encoding: "utf8"}}}
	})
	b := start(t, setup{inbox: inbox, sources: []receiver.Source{standard}, cfg: receiver.Config{FailureLimit: 100_000}})
	id, stamp := "msg_2KWPBgLlAfxd", strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(id + "." + stamp + "." + failure))
	good := http.Header{
		"Webhook-Id": {id}, "Webhook-Timestamp": {stamp},
		"Webhook-Signature": {"v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))},
	}
	send := func(body []byte, h http.Header) reply {
		return b.do(http.MethodPost, "/hooks/datasync", bytes.NewReader(body), h)
	}
	for at := range failure {
		bad := []byte(failure)
		bad[at] ^= 1
		b.want(send(bad, good), 401, "signature_mismatch")
	}
	for name, values := range good {
		for at := range values[0] {
			bad := []byte(values[0])
			bad[at] ^= 1
			h := good.Clone()
			h[name] = []string{string(bad)}
			if r := send([]byte(failure), h); r.http != 401 {
				t.Errorf("byte %d of %s as %q: %d %s", at, name, bad[at], r.http, r.Code)
			}
		}
	}
	if n := len(inbox.all()); n != 0 {
		t.Errorf("%d of them were stored", n)
	}
	b.want(send([]byte(failure), good), 202, "accepted")
}

func TestARequestThatTwoReadersReadInTwoWaysIs400(t *testing.T) {
	b := start(t, setup{})
	const post, chunked = "POST /hooks/datasync HTTP/1.1\r\nHost: x\r\n", "Transfer-Encoding: chunked\r\n"
	for _, text := range []string{
		post + "Content-Length: 5\r\n" + chunked + "\r\n0\r\n\r\n",
		post + chunked + "content-LENGTH: 5\r\n\r\n0\r\n\r\n",
		"GET /healthz HTTP/1.2\r\nHost: x\r\n\r\n",
		"GET /healthz HTTP/3.0\r\nHost: x\r\n\r\n",
	} {
		if status, closes := b.status(b.dial(text)); status != 400 || !closes {
			t.Errorf("%q: %d (closes: %v), want 400 and the end", text, status, closes)
		}
	}
	for _, text := range []string{"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "GET /healthz HTTP/1.0\r\n\r\n"} {
		if status, _ := b.status(b.dial(text)); status != 200 {
			t.Errorf("%q: %d, want 200", text, status)
		}
	}
}
