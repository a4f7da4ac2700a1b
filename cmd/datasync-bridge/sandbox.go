package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"datasync-bridge/datasync/sandbox"
	"datasync-bridge/event"
)

// sandboxFlags are what the sandbox command was asked for.
type sandboxFlags struct {
	listen      string
	story       string
	list        bool
	pace        time.Duration
	patience    time.Duration
	once        bool
	environment string
	seed        string
}

func (c *cli) sandboxCommand() *cobra.Command {
	var f sandboxFlags
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "Run a local stand-in of Datasync to point a configuration at, or rehearse an incident",
		Long: `Run a local stand-in of Datasync: it issues tokens, keeps trading partners,
takes webhook subscriptions, delivers signed events, runs automations and lists
transactions, under /v1 and, apart from it, under /v1/sandbox. It listens on
loopback only and keeps everything in memory. What Datasync does not document is
assumed, and named so in its code.

With --story it waits until a bridge has subscribed, and then lets an incident
happen to it:

` + storyList() + `
Afterwards it says what the bridge should show, and stays until Ctrl-C.`,
		Example: `  datasync-bridge sandbox --listen 127.0.0.1:8090
  # then, in config.yaml:  datasync: {base_url: "http://127.0.0.1:8090/v1", client_id: sandbox, client_secret: sandbox-secret}

  datasync-bridge sandbox --story outage
  datasync-bridge sandbox --story lost-webhooks --pace 500ms --once`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.story != "" && !cmd.Flags().Changed("log-level") {
				c.logLevel = "warn" // the story tells what happens
			}
			return c.sandbox(cmd.Context(), f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", "127.0.0.1:8090", "loopback `address` to listen on")
	flags.StringVar(&f.story, "story", "", "rehearse the incident of that `name`")
	flags.BoolVar(&f.list, "list-stories", false, "list the stories and end")
	flags.DurationVar(&f.pace, "pace", 2*time.Second, "`time` between two steps of the story")
	flags.DurationVar(&f.patience, "patience", 6*time.Minute, "`time` that a step waits for the bridge's poll, or for an approval")
	flags.BoolVar(&f.once, "once", false, "end when the story is over")
	flags.StringVar(&f.environment, "environment", string(event.Production), "what events under /v1 say of themselves: production or sandbox")
	flags.StringVar(&f.seed, "seed", "", "`text` in every id, so that ids are the same each time (default random)")
	return cmd
}

func storyList() string {
	var b strings.Builder
	for _, s := range sandbox.Stories() {
		fmt.Fprintf(&b, "  %-17s %s\n", s.Name, s.About)
	}
	return b.String()
}

var seedForm = regexp.MustCompile(`^[a-z0-9]{0,16}$`)

// check refuses what makes no sense before anything is opened.
func (f sandboxFlags) check() (sandbox.Story, error) {
	story, known := sandbox.StoryNamed(f.story)
	host, _, err := net.SplitHostPort(f.listen)
	ip := net.ParseIP(host)
	switch {
	case err != nil:
		return story, usagef("--listen: %v", err)
	case host != "localhost" && (ip == nil || !ip.IsLoopback()):
		return story, usagef("--listen: the sandbox takes any credentials it printed, so it listens on loopback only; %s is not", host)
	case f.story != "" && !known:
		return story, usagef("--story: there is no %q; there are\n%s", f.story, strings.TrimRight(storyList(), "\n"))
	case f.once && f.story == "":
		return story, usagef("--once ends the sandbox after a story; name one with --story")
	case f.pace < 0 || f.pace > time.Minute:
		return story, usagef("--pace must be 0 to 1m")
	case f.patience <= 0 || f.patience > 24*time.Hour:
		return story, usagef("--patience must be above 0 and at most 24h")
	case f.environment != string(event.Production) && f.environment != string(event.Sandbox):
		return story, usagef("--environment: %q is neither production nor sandbox", f.environment)
	case !seedForm.MatchString(f.seed):
		return story, usagef("--seed must be at most 16 of a-z and 0-9")
	}
	return story, nil
}

// The stand-in's own secrets are no secrets: they are printed so that a
// configuration can be pointed at it.
const (
	sandboxID      = "sandbox"
	sandboxSecret  = "sandbox-secret"         // #nosec G101 -- the stand-in's own
	sandboxSigning = "sandbox-webhook-secret" // #nosec G101 -- the stand-in's own
)

func (c *cli) sandbox(ctx context.Context, f sandboxFlags) error {
	story, err := f.check()
	if err != nil {
		return err
	}
	if f.list {
		_, err := fmt.Fprint(c.out, storyList())
		return err
	}
	log, err := c.logger()
	if err != nil {
		return err
	}
	var open net.ListenConfig
	ln, err := open.Listen(ctx, "tcp", f.listen)
	if err != nil {
		return fmt.Errorf("open the sandbox's listener: %w", err)
	}
	far := sandbox.New(sandbox.Options{Log: log, Environment: event.Environment(f.environment), Seed: f.seed,
		ClientID: sandboxID, ClientSecret: sandboxSecret, Secret: sandboxSigning})
	fmt.Fprintf(c.out, sandboxIntro, ln.Addr(), sandboxID, sandboxSecret, sandboxSigning)
	if f.story == "" {
		fmt.Fprintf(c.out, sandboxByHand, ln.Addr())
		return far.Serve(ctx, ln)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	all, ctx := errgroup.WithContext(ctx) // without the server the story has no end
	all.Go(func() error { return far.Serve(ctx, ln) })
	told := newTeller(c.out).tell(ctx, far, story, f)
	if told == nil && !f.once {
		<-ctx.Done()
	}
	stop()
	return errors.Join(told, all.Wait())
}

// teller prints a story of the sandbox as it happens.
type teller struct {
	*screen // for its colours alone
}

func newTeller(out io.Writer) teller { return teller{newScreen(out, nil, nil)} }

// tell waits for a subscriber and plays a story to it.
func (t teller) tell(ctx context.Context, far *sandbox.Sandbox, story sandbox.Story, f sandboxFlags) error {
	fmt.Fprintf(t.out, "%s  %s\n\nwaiting for a webhook subscription …\n\n", t.paint(bold, story.Name), t.paint(dim, story.About))
	world, err := far.Subscribed(ctx)
	if err == nil {
		err = world.Play(ctx, story, sandbox.Telling{Pace: f.pace, Patience: f.patience, Step: t.step()})
	}
	switch {
	case errors.Is(err, context.Canceled): // Ctrl-C ends a story at any step
		return nil
	case err != nil:
		return fmt.Errorf("play the story %s: %w", story.Name, err)
	case !f.once:
		fmt.Fprintf(t.out, "\nThe sandbox stays until Ctrl-C.\n")
	}
	return nil
}

// step prints the steps line by line, and what to expect under a heading.
func (t teller) step() func(sandbox.Step) {
	heading := "\n" + t.paint(bold, "What the bridge should show now") + "\n"
	return func(s sandbox.Step) {
		if s.Kind != sandbox.Expect {
			fmt.Fprintf(t.out, "%s  %s  %s\n", t.paint(dim, s.At.Format("15:04:05")), t.paint(colourOf(s.Kind), fmt.Sprintf("%-9s", s.Kind)), s.Text)
			return
		}
		fmt.Fprintf(t.out, "%s  - %s\n", heading, s.Text)
		heading = ""
	}
}

func colourOf(k sandbox.Kind) string {
	switch k {
	case sandbox.Failed, sandbox.Trouble:
		return red
	case sandbox.Lost, sandbox.Late, sandbox.Retrying:
		return yellow
	case sandbox.Delivered, sandbox.Ran:
		return green
	case sandbox.Waiting:
		return dim
	}
	return bold
}

const sandboxIntro = `Datasync stand-in (everything here is made up)

  base_url        http://%[1]s/v1
  client_id       %[2]s
  client_secret   %[3]s
  webhook secret  %[4]s

Put these into the datasync section, and let serve know the webhook secret
(DATASYNC_WEBHOOK_SECRET in the example configuration). With environment: sandbox
in its source, a rehearsal pages nobody. Then, while serve runs, subscribe it:

  datasync-bridge subscribe -c config.yaml

or without the bridge's own command:

  TOKEN=$(curl -s http://%[1]s/v1/auth/token -H 'Content-Type: application/json' -d '{"client_id":"%[2]s","client_secret":"%[3]s"}' | jq -r .access_token)
  curl -s http://%[1]s/v1/webhooks/subscriptions -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
    -d '{"name":"ops","url":"http://127.0.0.1:8080/hooks/datasync","events":["*"]}'

Ask it as the bridge does:

  datasync-bridge datasync transactions --status failed
  datasync-bridge datasync partners get ID

`

const sandboxByHand = `Make something fail:

  curl -s http://%[1]s/_control/transactions -H 'Content-Type: application/json' -d '{"id":"txn_1","document_type":"856","partner":{"id":"par_1","name":"Partner One"}}'
  curl -s http://%[1]s/_control/events -H 'Content-Type: application/json' -d '{"type":"transaction.failed","transaction":"txn_1"}'

or Datasync itself:

  curl -s http://%[1]s/_control/webhooks -H 'Content-Type: application/json' -d '{"lose":3}'
  curl -s http://%[1]s/_control/faults -H 'Content-Type: application/json' -d '{"path":"/v1/transactions","status":503,"times":5}'
  curl -s http://%[1]s/_control/down -H 'Content-Type: application/json' -d '{"down":true}'

A whole incident is played by --story. Ctrl-C ends it.
`
