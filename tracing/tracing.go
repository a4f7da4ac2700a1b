// Package tracing tells an OpenTelemetry collector what became of events: one
// trace for each, from the request to the notification.
//
// A trace lasts as long as an event has consequences: hours, over restarts. So
// nothing of it is kept anywhere. The ids of a trace, and of the spans that others
// hang from, are hashes of the event's id: whoever knows the id can add a
// span. Whether an event is traced follows from the same hash, so that a trace is
// whole or is not there (docs/decisions/0030).
//
// Spans are made after the fact and hold ids, names of the configuration, words
// of the bridge's own and times; nothing else of a payload. A collector that is
// slow or gone loses spans, and delays nothing.
package tracing

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Bounds on what a collector may cost.
const (
	queue      = 2048 // spans; what comes while it is full is dropped
	batch      = 256
	longest    = 200 // characters of one value
	delay      = time.Second
	patience   = 5 * time.Second
	lastChance = 2 * time.Second
)

// Options are what a Recorder is given besides its configuration.
type Options struct {
	// Client calls the collector. Required.
	Client  *http.Client
	Version string
	Log     *slog.Logger // default: silent
	// Failed is told of each batch that the collector did not take; nil is nobody.
	Failed func()
}

// Recorder makes spans. Its methods may be called from many goroutines and
// return at once.
type Recorder struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

// New returns a Recorder; Close ends it. It calls nobody before there is a span.
func New(cfg Config, o Options) (*Recorder, error) {
	cfg = cfg.WithDefaults()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Failed == nil {
		o.Failed = func() {}
	}
	exporter, err := otlptrace.New(context.Background(), &collector{address: cfg.address(), client: o.Client, failed: o.Failed, log: o.Log})
	if err != nil {
		return nil, err
	}
	limits := sdk.NewSpanLimits()
	limits.AttributeValueLengthLimit = longest
	p := sdk.NewTracerProvider(
		sdk.WithRawSpanLimits(limits),
		sdk.WithBatcher(exporter, sdk.WithMaxQueueSize(queue), sdk.WithMaxExportBatchSize(batch),
			sdk.WithBatchTimeout(delay), sdk.WithExportTimeout(patience)),
		sdk.WithIDGenerator(given{}),
		sdk.WithSampler(sdk.TraceIDRatioBased(float64(*cfg.Sample))), // by the trace's id alone
		sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "datasync-bridge"), attribute.String("service.version", o.Version))),
	)
	return &Recorder{provider: p, tracer: p.Tracer("datasync-bridge")}, nil
}

// Close sends what waits, for two seconds at most.
func (r *Recorder) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), lastChance)
	defer cancel()
	_ = r.provider.Shutdown(ctx) // what does not go out in time is lost, as said
}

// Place is where a span stands in the trace of its event.
type Place string

// The places. Of an event there is one Receive and one Plan; what has happened
// more than once hangs from them.
const (
	Receive Place = "receive"
	Plan    Place = "plan"
)

// Span is something that has ended.
type Span struct {
	// Name says what was done, in one word.
	Name string
	// Event is the id of the event whose trace it is in; nothing is told without.
	Event string
	// At is the place that it takes, "" for one of its own.
	At Place
	// Under is the place that it hangs from, "" for the root.
	Under        Place
	Began, Ended time.Time
	// Outcome is one word of the bridge's; Failed says that it is a bad one.
	Outcome string
	Failed  bool
	// Facts are pairs of a name and a value.
	Facts []string
}

// Tell queues a span.
func (r *Recorder) Tell(s Span) {
	if s.Event == "" {
		return
	}
	id := ids{trace: TraceID(s.Event)}
	if s.At != "" {
		id.span = spanID(s.At, s.Event)
	} else {
		id.span = anySpan()
	}
	ctx := context.WithValue(context.Background(), idsKey{}, id)
	if s.Under != "" {
		ctx = trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: id.trace, SpanID: spanID(s.Under, s.Event), TraceFlags: trace.FlagsSampled, Remote: true,
		}))
	}
	kind := trace.SpanKindInternal
	switch s.Name {
	case "receive":
		kind = trace.SpanKindServer
	case "deliver", "run":
		kind = trace.SpanKindClient
	}
	_, span := r.tracer.Start(ctx, s.Name, trace.WithTimestamp(s.Began), trace.WithSpanKind(kind))
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(attribute.String("bridge.event", s.Event), attribute.String("bridge.outcome", s.Outcome))
	for i := 0; i+1 < len(s.Facts); i += 2 {
		if s.Facts[i+1] != "" {
			span.SetAttributes(attribute.String("bridge."+s.Facts[i], s.Facts[i+1]))
		}
	}
	if s.Failed {
		span.SetStatus(codes.Error, s.Outcome)
	}
	span.End(trace.WithTimestamp(s.Ended))
}

// ids are those that a span is to have.
type ids struct {
	trace trace.TraceID
	span  trace.SpanID
}

type idsKey struct{}

// given gives a span the ids that its context says.
type given struct{}

func (given) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	id, _ := ctx.Value(idsKey{}).(ids)
	return id.trace, id.span
}

func (given) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	id, _ := ctx.Value(idsKey{}).(ids)
	return id.span
}

func sum(what, event string) [sha256.Size]byte {
	return sha256.Sum256([]byte("datasync-bridge/" + what + "/" + event))
}

func spanID(at Place, event string) trace.SpanID {
	hash := sum(string(at), event)
	return trace.SpanID(hash[:8])
}

func anySpan() (id trace.SpanID) {
	for i, n := 0, rand.Uint64(); i < len(id); i++ {
		id[i] = byte(n >> (8 * i))
	}
	id[0] |= 1 // never all zero, which is no id
	return id
}

// TraceID is the id of an event's trace.
func TraceID(event string) trace.TraceID {
	hash := sum("trace", event)
	return trace.TraceID(hash[:16])
}
