// Package client calls the admin API of a running bridge, for the command line.
//
// An answer that is no success comes back as *view.Error with the server's
// words; anything else is a failure to reach it. The token is sent to the one
// address given and to nowhere else: redirects are not followed.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"datasync-bridge/routing/incident"
	"datasync-bridge/web/view"
)

// maxAnswer bounds what is read of an answer: a page of 1,000 rows fits.
const maxAnswer = 64 << 20

// Client speaks to one bridge. It is safe for concurrent use.
type Client struct {
	base  string
	token string
	http  *http.Client
}

// New returns a client of the bridge at base, such as "http://127.0.0.1:9090".
// A transport may carry a certificate pool; nil is the default one, without a
// proxy, because the admin listener is near.
func New(base, token string, transport http.RoundTripper) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("%q is no address; write http://127.0.0.1:9090", base)
	}
	if transport == nil {
		transport = &http.Transport{Proxy: nil, ResponseHeaderTimeout: 15 * time.Second}
	}
	return &Client{
		base:  strings.TrimSuffix(base, "/"),
		token: token,
		http: &http.Client{
			Transport: transport,
			Timeout:   30 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse
			},
		},
	}, nil
}

// Status tells what is running.
func (c *Client) Status(ctx context.Context) (view.Status, error) {
	return get[view.Status](ctx, c, "status")
}

// Events lists received events.
func (c *Client) Events(ctx context.Context, f incident.Filter) (view.List[view.Event], error) {
	return get[view.List[view.Event]](ctx, c, "events"+query(f))
}

// Event shows one event with its decision and body.
func (c *Client) Event(ctx context.Context, id string) (view.Event, error) {
	return get[view.Event](ctx, c, "events/"+url.PathEscape(id))
}

// Incidents lists incidents.
func (c *Client) Incidents(ctx context.Context, f incident.Filter) (view.List[view.Incident], error) {
	return get[view.List[view.Incident]](ctx, c, "incidents"+query(f))
}

// Incident shows one incident with all that belongs to it.
func (c *Client) Incident(ctx context.Context, id string) (view.Incident, error) {
	return get[view.Incident](ctx, c, "incidents/"+url.PathEscape(id))
}

// Deliveries lists notifications on their way.
func (c *Client) Deliveries(ctx context.Context, f incident.Filter) (view.List[view.Delivery], error) {
	return get[view.List[view.Delivery]](ctx, c, "deliveries"+query(f))
}

// Delivery shows one delivery.
func (c *Client) Delivery(ctx context.Context, id string) (view.Delivery, error) {
	return get[view.Delivery](ctx, c, "deliveries/"+url.PathEscape(id))
}

// Runs lists runs of automations.
func (c *Client) Runs(ctx context.Context, f incident.Filter) (view.List[view.Run], error) {
	return get[view.List[view.Run]](ctx, c, "runs"+query(f))
}

// Run shows one run.
func (c *Client) Run(ctx context.Context, id string) (view.Run, error) {
	return get[view.Run](ctx, c, "runs/"+url.PathEscape(id))
}

// Acknowledge stops reminders and escalation of an incident.
func (c *Client) Acknowledge(ctx context.Context, id, why string) error {
	return c.post(ctx, "incidents/"+url.PathEscape(id)+"/acknowledge", said{why})
}

// Resolve ends an incident by hand; why is required.
func (c *Client) Resolve(ctx context.Context, id, why string) error {
	return c.post(ctx, "incidents/"+url.PathEscape(id)+"/resolve", said{why})
}

// RetryDelivery puts a dead delivery back in its queue.
func (c *Client) RetryDelivery(ctx context.Context, id string) error {
	return c.post(ctx, "deliveries/"+url.PathEscape(id)+"/retry", said{})
}

// ApproveRuns gives the caller's consent to each of these runs.
func (c *Client) ApproveRuns(ctx context.Context, ids []string, why string) error {
	return c.post(ctx, "runs/approve", approval{ids, why})
}

// DenyRun refuses a run that waits for approval; why is required.
func (c *Client) DenyRun(ctx context.Context, id, why string) error {
	return c.post(ctx, "runs/"+url.PathEscape(id)+"/deny", said{why})
}

// StopRun ends a run before its call; why is required.
func (c *Client) StopRun(ctx context.Context, id, why string) error {
	return c.post(ctx, "runs/"+url.PathEscape(id)+"/stop", said{why})
}

// StopRuns lets no run start, of one remediation or, with scope "", of all.
func (c *Client) StopRuns(ctx context.Context, scope, why string) error {
	return c.post(ctx, "runs/stop", scoped{scope, why})
}

// ResumeRuns takes a StopRuns of the same scope back.
func (c *Client) ResumeRuns(ctx context.Context, scope, why string) error {
	return c.post(ctx, "runs/resume", scoped{scope, why})
}

// ClearRun settles a run whose outcome is unknown: done or failed.
func (c *Client) ClearRun(ctx context.Context, id string, outcome incident.RunState, why string) error {
	return c.post(ctx, "runs/"+url.PathEscape(id)+"/clear", cleared{outcome, why})
}

// Audit lists the record of deeds, newest first; a filter's State is the action.
func (c *Client) Audit(ctx context.Context, f incident.Filter) (view.List[incident.Audit], error) {
	q := params(f)
	if f.State != "" {
		q.Del("state")
		q.Set("action", f.State)
	}
	return get[view.List[incident.Audit]](ctx, c, "audit"+written(q))
}

// Record adds what the caller did elsewhere; the bridge fills in who that is.
func (c *Client) Record(ctx context.Context, a incident.Audit) error {
	return c.post(ctx, "audit", view.OfDeed(a))
}

// Silences lists silences: those active and to come, with all also those that
// are over and kept.
func (c *Client) Silences(ctx context.Context, all bool) (view.List[view.Silence], error) {
	q := url.Values{}
	if all {
		q.Set("all", "true")
	}
	return get[view.List[view.Silence]](ctx, c, "silences"+written(q))
}

// AddSilence makes a silence and returns it as it is kept.
func (c *Client) AddSilence(ctx context.Context, s view.NewSilence) (view.Silence, error) {
	var kept view.Silence
	body, err := json.Marshal(s)
	if err != nil {
		return kept, fmt.Errorf("write the request: %w", err)
	}
	return kept, c.call(ctx, http.MethodPost, "silences", body, &kept)
}

// ExpireSilence ends a silence before its time; why is required.
func (c *Client) ExpireSilence(ctx context.Context, id, why string) error {
	return c.post(ctx, "silences/"+url.PathEscape(id)+"/expire", said{why})
}

// Purge does one step of a purge.
func (c *Client) Purge(ctx context.Context, p incident.Purge) (incident.Purged, error) {
	var done incident.Purged
	body, err := json.Marshal(p)
	if err != nil {
		return done, fmt.Errorf("write the request: %w", err)
	}
	return done, c.call(ctx, http.MethodPost, "events/purge", body, &done)
}

// The bodies of commands.
type (
	said struct {
		Why string `json:"why,omitempty"`
	}
	approval struct {
		IDs []string `json:"ids"`
		Why string   `json:"why,omitempty"`
	}
	scoped struct {
		Scope string `json:"scope"`
		Why   string `json:"why"`
	}
	cleared struct {
		Outcome incident.RunState `json:"outcome"`
		Why     string            `json:"why"`
	}
)

func query(f incident.Filter) string { return written(params(f)) }

func written(q url.Values) string {
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

func params(f incident.Filter) url.Values {
	q := url.Values{}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	set("state", f.State)
	set("incident", f.Incident)
	set("event", f.Event)
	set("run", f.Run)
	set("notifier", f.Notifier)
	set("source", f.Source)
	set("before", f.Before)
	if !f.Since.IsZero() {
		set("since", f.Since.UTC().Format(time.RFC3339))
	}
	if !f.Until.IsZero() {
		set("until", f.Until.UTC().Format(time.RFC3339))
	}
	if f.Limit > 0 {
		set("limit", strconv.Itoa(f.Limit))
	}
	return q
}

func get[V any](ctx context.Context, c *Client, path string) (V, error) {
	var v V
	err := c.call(ctx, http.MethodGet, path, nil, &v)
	return v, err
}

func (c *Client) post(ctx context.Context, path string, command any) error {
	body, err := json.Marshal(command)
	if err != nil {
		return fmt.Errorf("write the request: %w", err)
	}
	return c.call(ctx, http.MethodPost, path, body, &view.Done{})
}

// call sends a request to a path below /api/v1/, or to one that begins with /.
func (c *Client) call(ctx context.Context, method, path string, body []byte, into any) error {
	if !strings.HasPrefix(path, "/") {
		path = "/api/v1/" + path
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("call the bridge: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Accept", "application/json")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("call the bridge: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // read only: nothing to lose
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the bridge's answer: %w", err)
	}
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return fmt.Errorf("the answer is no JSON (status %d): is this the bridge's admin address?", resp.StatusCode)
	}
	if resp.StatusCode != http.StatusOK {
		refusal := &view.Error{Status: resp.StatusCode}
		if err := json.Unmarshal(text, refusal); err != nil || refusal.Message == "" {
			return fmt.Errorf("the bridge answered status %d", resp.StatusCode)
		}
		return refusal
	}
	if err := json.Unmarshal(text, into); err != nil {
		return errors.Join(errors.New("read the bridge's answer"), err)
	}
	return nil
}

// Reload puts the configuration's file in force.
func (c *Client) Reload(ctx context.Context) (view.Reload, error) {
	var done view.Reload
	return done, c.call(ctx, http.MethodPost, "/-/reload", nil, &done)
}
