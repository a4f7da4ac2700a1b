package view_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"datasync-bridge/web/view"
)

func TestEveryActionOfTheRecordCanBeAskedFor(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../../routing/incident/audit.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Audit") {
			return true
		}
		action, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		found++
		if !slices.Contains(view.AuditActions, action) {
			t.Errorf("%s (%s) is in no list", spec.Names[0].Name, action)
		}
		return true
	})
	if found < 16 {
		t.Errorf("%d actions were found in the source", found)
	}
}
