package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// arrows says which of the project's own top folders each may import.
var arrows = map[string][]string{
	"cmd":         {"cmd", "handlers", "projections", "domain", "eventstore"},
	"handlers":    {"handlers", "projections", "domain", "eventstore"},
	"projections": {"projections", "domain", "eventstore"},
	"domain":      {"domain"},
	"eventstore":  {"eventstore"},
}

// broken lists the imports of a tree that go against the arrows.
func broken(t *testing.T, tree fs.FS) []string {
	t.Helper()
	var found []string
	err := fs.WalkDir(tree, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		top, _, _ := strings.Cut(path, "/")
		allowed, known := arrows[top]
		if !known {
			return nil
		}
		text, err := fs.ReadFile(tree, path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, i := range file.Imports {
			target, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			inside, own := strings.CutPrefix(target, "permledger/")
			if !own {
				if top == "domain" && outsideOfDomain(path, target) {
					found = append(found, path+" imports "+target)
				}
				continue
			}
			head, _, _ := strings.Cut(inside, "/")
			if !slices.Contains(allowed, head) {
				found = append(found, path+" imports "+target)
			}
		}
		return nil
	})
	require.NoError(t, err)
	return found
}

// outsideOfDomain reports whether a rule's file imports more than the standard library and ids.
func outsideOfDomain(path, target string) bool {
	host, _, _ := strings.Cut(target, "/")
	testing := strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "domain/domaintest/")
	return !testing && strings.Contains(host, ".") && target != "github.com/google/uuid"
}

func TestImportsFollowTheArrows(t *testing.T) {
	t.Parallel()
	require.Empty(t, broken(t, os.DirFS("../..")))
}

func TestAnImportAgainstTheArrowsIsFound(t *testing.T) {
	t.Parallel()
	tree := fstest.MapFS{
		"domain/a.go":      {Data: []byte("package domain\nimport _ \"permledger/eventstore\"\n")},
		"domain/b.go":      {Data: []byte("package domain\nimport _ \"github.com/nats-io/nats.go\"\n")},
		"eventstore/a.go":  {Data: []byte("package eventstore\nimport _ \"permledger/domain\"\n")},
		"projections/a.go": {Data: []byte("package projections\nimport _ \"permledger/handlers/api\"\n")},
		"handlers/a.go":    {Data: []byte("package handlers\nimport _ \"permledger/domain\"\n")},
	}
	require.Len(t, broken(t, tree), 4)
}

func TestTheTopLevelIsFixed(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir("../..")
	require.NoError(t, err)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || ignored[e.Name()] {
			continue
		}
		require.Contains(t, []string{"cmd", "domain", "eventstore", "projections", "handlers", "go.mod", "go.sum", "Makefile", "README.md", "LICENSE"}, e.Name())
	}
}

// ignored are what building and running here leaves behind; git ignores them.
var ignored = map[string]bool{"bin": true, "permledger-data": true}
