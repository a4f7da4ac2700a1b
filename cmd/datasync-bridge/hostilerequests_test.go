package main

import (
	"fmt"
	"strconv"
	"strings"
)

// requests are texts that are no request, or two at once: what is smuggled in
// the body of one must never be answered as another.
func requests() []hostility {
	const (
		bad, tooBig = "400 malformed_request", "431 headers_too_large"
		missing     = "401 signature_missing"
		post        = "POST /hooks/datasync HTTP/1.1\r\nHost: x\r\n"
		hidden      = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
	)
	chunks := strings.Repeat("1\r\n \r\n", 100_000)
	signed := post + "X-Datasync-Signature: " + sign(nil) + "\r\n"
	numbered := func(n int) string {
		var out strings.Builder
		for i := range n {
			fmt.Fprintf(&out, "h%d:\r\n", i)
		}
		return out.String()
	}
	return []hostility{
		{"a header of 64 KB", said(post + "X-Big: " + strings.Repeat("x", 64<<10) + "\r\n\r\n"), tooBig, 0},
		{"10,000 headers", said(post + numbered(10_000) + "\r\n"), tooBig, 0},
		{"900 headers, all that fit", said(post + numbered(900) + "\r\n"), missing, 0},
		{"250 signatures", said(post + strings.Repeat("X-Datasync-Signature: a\r\n", 250) + "\r\n"), "401 signature_malformed", 0},
		{"a path of 8 KB", said("GET /" + strings.Repeat("a", 8<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n"), tooBig, 0},
		{"a path of 7 KB", said("GET /" + strings.Repeat("a", 7<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n"), "404 not_found", 0},
		{"a path that climbs", said("GET /../../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n"), "404 not_found", 0},
		{"NUL in a path", said("GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n"), bad, 0},
		{"NUL in a header", said(post + "X-A: a\x00b\r\n\r\n"), bad, 0},
		{"NUL in a header's name", said(post + "X\x00A: a\r\n\r\n"), bad, 0},
		{"NUL before a request", said("\x00" + hidden), bad, 0},
		{"a method that nobody knows", said("BREW /hooks/datasync HTTP/1.1\r\nHost: x\r\n\r\n"), "405 method_not_allowed", 0},
		{"a method of 4 KB", said(strings.Repeat("A", 4<<10) + " / HTTP/1.1\r\nHost: x\r\n\r\n"), "404 not_found", 0},
		{"a method with a bracket", said("G(T / HTTP/1.1\r\nHost: x\r\n\r\n"), bad, 0},
		{"CONNECT", said("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n"), "404 not_found", 0},
		{"TRACE", said("TRACE /hooks/datasync HTTP/1.1\r\nHost: x\r\n\r\n"), "405 method_not_allowed", 0},
		{"an absolute address", said("POST http://example.com/hooks/datasync HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"), missing, 0},
		{"no host", said("GET /healthz HTTP/1.1\r\n\r\n"), bad, 0},
		{"two hosts", said("GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"), bad, 0},
		{"HTTP/0.9", said("GET /healthz\r\n"), bad, 0},
		{"HTTP/9.9", said("GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n"), bad, 0},
		{"the preface of HTTP/2", said("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"), bad, 0},
		{"a TLS hello", said("\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + strings.Repeat("\x5a", 154) + "\r\n\r\n"), bad, 0},
		{"16 KB of random bytes", said(strings.Repeat("\x9f\x1b\xe2\x07", 4<<10)), tooBig, 0},
		{"an endless line", said(strings.Repeat("A", 1<<20)), tooBig, 0},
		{"a length and chunks", said(post + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden), bad, 0},
		{"chunks and a length", said(post + "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n" + hidden), bad, 0},
		{"two lengths", said(post + "Content-Length: 0\r\nContent-Length: 39\r\n\r\n" + hidden), bad, 0},
		{"two equal lengths", said(post + "Content-Length: 0\r\nContent-Length: 0\r\n\r\n" + hidden), bad, 0},
		{"a list of lengths", said(post + "Content-Length: 0, 39\r\n\r\n" + hidden), bad, 0},
		{"a length with a sign", said(post + "Content-Length: +39\r\n\r\n" + hidden), bad, 0},
		{"a negative length", said(post + "Content-Length: -1\r\n\r\n" + hidden), bad, 0},
		{"a length in hexadecimal", said(post + "Content-Length: 0x27\r\n\r\n" + hidden), bad, 0},
		{"a length beyond 64 bits", said(post + "Content-Length: 18446744073709551655\r\n\r\n" + hidden), bad, 0},
		{"chunks, spelled oddly", said(post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + hidden), bad, 0},
		{"chunks and identity", said(post + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + hidden), bad, 0},
		{"chunks twice", said(post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden), bad, 0},
		{"chunks of HTTP/1.0", said("POST /hooks/datasync HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden), bad, 0},
		{"a blank before a colon", said(post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + hidden), bad, 0},
		{"a folded header", said(post + "X-A: a\r\n Transfer-Encoding: chunked\r\n\r\n"), missing, 0},
		{"a folded length", said(post + "Content-Length:\r\n 39\r\n\r\n" + hidden), bad, 0},
		{"lines that end in a bare LF", said("GET /healthz HTTP/1.1\nHost: x\n\n"), bad, 0},
		{"a header's end in a bare CR", said(post + "X-A: a\rContent-Length: 39\r\n\r\n"), bad, 0},
		{"a chunk's size beyond 64 bits", said(signed + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n" + hidden), "400 body_incomplete", 0},
		{"a chunk's negative size", said(signed + "Transfer-Encoding: chunked\r\n\r\n-1\r\n" + hidden), "400 body_incomplete", 0},
		{"a chunk that is longer than its size", said(signed + "Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n" + hidden), "400 body_incomplete", 0},
		{"a chunk's extension of 64 KB", said(signed + "Transfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("x", 64<<10) + "\r\n \r\n0\r\n\r\n"), "401 signature_mismatch", 0},
		{"a chunk's extension that never ends", said(signed + "Transfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("x", 16<<20)), "400 body_incomplete", 0},
		{"100,000 chunks of one byte", said(signed + "Transfer-Encoding: chunked\r\n\r\n" + chunks + "0\r\n\r\n"), "401 signature_mismatch", 0},
		{"10,000 trailers", said(signed + "Transfer-Encoding: chunked\r\n\r\n0\r\n" + numbered(10_000) + "\r\n"), "400 body_incomplete", 0},
		{"a request in a body that is refused", said(post + "Content-Length: " + strconv.Itoa(len(hidden)) + "\r\n\r\n" + hidden), missing, 0},
		{"a request in a body that is not read", said(post + "Content-Length: 100000\r\n\r\n" + strings.Repeat(hidden, 3000)), missing, 0},
	}
}
