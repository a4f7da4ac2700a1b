package script

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// The form that GitLab, Jenkins and GitHub's actions read.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name      string        `xml:"name,attr"`
		ClassName string        `xml:"classname,attr"`
		File      string        `xml:"file,attr"`
		Line      int           `xml:"line,attr"`
		Time      string        `xml:"time,attr"`
		Failure   *junitFailure `xml:"failure"`
		Out       string        `xml:"system-out,omitempty"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
)

// WriteJUnit prints results as JUnit XML: a suite for each file.
func WriteJUnit(w io.Writer, results []Result) error {
	all := junitSuites{Name: "datasync-bridge test"}
	var took time.Duration
	spans := map[string]time.Duration{}
	at := map[string]int{}
	for _, r := range results {
		i, known := at[r.File]
		if !known {
			i = len(all.Suites)
			at[r.File] = i
			all.Suites = append(all.Suites, junitSuite{Name: r.File})
		}
		suite := &all.Suites[i]
		c := junitCase{
			Name: printable(r.Name), ClassName: strings.TrimSuffix(r.File, ".yaml"), File: r.File, Line: r.Line, Time: seconds(r.Took),
			Out: printable(strings.Join(r.Told, "\n")),
		}
		if len(r.Failures) > 0 {
			c.Failure = r.failure()
			suite.Failures++
			all.Failures++
		}
		suite.Cases = append(suite.Cases, c)
		suite.Tests++
		all.Tests++
		took += r.Took
		spans[r.File] += r.Took
		suite.Time = seconds(spans[r.File])
	}
	all.Time = seconds(took)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (r Result) failure() *junitFailure {
	var text strings.Builder
	for _, f := range r.Failures {
		text.WriteString(printable(f.Step) + "\n")
		f.write(&text, Colours{})
	}
	first := r.Failures[0]
	return &junitFailure{Message: fmt.Sprintf("%s: %s", first.Place, printable(first.What)), Type: "expectation", Text: text.String()}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
