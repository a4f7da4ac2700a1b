package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"datasync-bridge/config"
	"datasync-bridge/receiver/signature"
)

// What verify discover prints is put into a configuration as it is, and there
// verifies the request that it was found from.
func TestWhatDiscoverPrintsVerifiesTheRequest(t *testing.T) {
	body := eventBody(1, "transaction.failed", 1)
	for name, c := range map[string]struct {
		capture string
		fits    string
	}{
		"custom":               {"POST /hooks HTTP/1.1\r\nHost: x\r\nX-Datasync-Signature: " + sign(body) + "\r\n\r\n" + string(body), "sha256="},
		"as curl prints it":    {"> POST /hooks HTTP/1.1\n> X-Sig: " + sign(body) + "\n>\n\n" + string(body), "X-Sig"},
		"with a line break":    {"X-Sig: " + sign(body) + "\n\n" + string(body) + "\n", "without the line break"},
		"a preset":             {"X-Hub-Signature-256: " + sign(body) + "\n\n" + string(body), "scheme: github"},
		"signatures in a list": {"X-Sig: v1=" + strings.TrimPrefix(sign([]byte("x")), "sha256=") + ",v1=" + strings.TrimPrefix(sign(body), "sha256=") + "\n\n" + string(body), "list_separator"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			request, secret := writeFile(t, dir, "request.txt", c.capture), writeFile(t, dir, "secret.txt", testSecret+"\n")
			o := command(t, nil, "verify", "discover", request, "--secret-file", secret)
			if o.code != exitOK || !strings.Contains(o.out, c.fits) || strings.Contains(o.out+o.err, testSecret) {
				t.Fatalf("want %q and no secret: %v", c.fits, o)
			}
			text, err := os.ReadFile(configuration(t, "http://127.0.0.1:9", "defaults: {notify: [ops]}\n"))
			if err != nil {
				t.Fatal(err)
			}
			block := strings.TrimPrefix(o.out, "# It fits the body without the line break at its end, which the capture must have added.\n")
			edited := regexp.MustCompile(`(?s)    verify:\n.*?notifiers:`).ReplaceAllLiteralString(string(text), block+"notifiers:")
			path := writeFile(t, dir, "config.yaml", edited)
			cfg, err := config.Load(path, config.Options{Env: []string{"DATASYNC_WEBHOOK_SECRET=" + testSecret}})
			if err != nil {
				t.Fatalf("%v\n%s", err, edited)
			}
			v, err := signature.New(*cfg.Sources[0].Verify, "")
			if err != nil {
				t.Fatal(err)
			}
			headers, _, err := splitRequest([]byte(c.capture))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := v.Verify(headers, body, time.Now()); err != nil {
				t.Errorf("the block does not verify the request: %v\n%s", err, block)
			}
		})
	}
}

func TestDiscoverSaysWhatItCouldNotFind(t *testing.T) {
	dir := t.TempDir()
	secret := writeFile(t, dir, "secret.txt", testSecret)
	for capture, want := range map[string]string{
		"X-Sig: " + sign([]byte("another")) + "\n\nbody":   "none of",
		"X-Sig: abcdef\nX-Other: 1\n\nbody":                "no header of this request holds an HMAC",
		"body":                                             "no header is in it",
		"Transfer-Encoding: chunked\n\n4\r\nbody\r\n0\r\n": "chunked",
	} {
		path := writeFile(t, dir, "request.txt", capture)
		o := command(t, nil, "verify", "discover", path, "--secret-file", secret)
		if o.code != exitFailed || !strings.Contains(o.err, want) {
			t.Errorf("%q: want %q: %v", capture, want, o)
		}
	}
	if o := command(t, nil, "verify", "discover", writeFile(t, dir, "request.txt", "X-Sig: 1\n\n"), "--secret-file", "/dev/null"); o.code != exitUsage {
		t.Errorf("an empty secret: %v", o)
	}
}
