package tracing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector posts batches. It is ours because the SDK's own client over HTTP
// brings all of gRPC, and does not let us say which addresses may be called.
type collector struct {
	address string
	client  *http.Client
	failed  func()
	log     *slog.Logger
	failing atomic.Bool
}

func (*collector) Start(context.Context) error { return nil }
func (*collector) Stop(context.Context) error  { return nil }

// UploadTraces posts one batch, once. What fails is said here, when it begins
// and when it ends, and not to the SDK, which would log each.
func (c *collector) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	err := c.post(ctx, spans)
	if err != nil {
		c.failed()
		if !c.failing.Swap(true) {
			c.log.Warn("traces are lost: the collector does not take them", "err", err)
		}
	} else if c.failing.Swap(false) {
		c.log.Info("the collector takes traces again")
	}
	return nil
}

func (c *collector) post(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	// An export request has the same form as TracesData.
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return fmt.Errorf("encode spans: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.address, bytes.NewReader(body))
	if err != nil {
		return errors.New("telemetry.traces.endpoint is no address that can be called")
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	res, err := c.client.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // without the address
		}
		return err
	}
	defer res.Body.Close()                                       //nolint:errcheck // read to its end
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection is used again
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return fmt.Errorf("telemetry.traces.endpoint answered %d", res.StatusCode)
	}
	return nil
}
