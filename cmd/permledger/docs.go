package main

import (
	"encoding/json"
	"fmt"

	"permledger/cmd/permledger/docs"
)

type docsCommand struct {
	Page string `arg:"" optional:"" help:"Name of the page; without it the pages are listed."`
}

// Run prints a page of the manual, or lists the pages.
func (c *docsCommand) Run(a *app) error {
	if c.Page == "" {
		return a.write(func(yield func(json.RawMessage, error) bool) {
			for _, p := range docs.Pages() {
				row, err := json.Marshal(map[string]string{"page": p.Name, "title": p.Title})
				if !yield(row, err) {
					return
				}
			}
		}, []column{{"Page", "page"}, {"Title", "title"}})
	}
	p, err := docs.Find(c.Page)
	if err != nil {
		return usageError("%v", err)
	}
	_, err = fmt.Fprint(a.stdout, p.Text)
	return err
}
