// Package docs holds the manual, embedded into the program.
package docs

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed *.md
var pages embed.FS

// order is that in which a new reader meets the pages.
var order = []string{"quick-start", "concepts", "rules", "events", "partner-center", "azure", "webhooks", "operations", "cluster", "guarantees", "performance", "decisions", "adding-an-event"}

// Pages lists the pages by name, in reading order, with their titles.
func Pages() []Page {
	list := make([]Page, len(order))
	for i, name := range order {
		text, err := pages.ReadFile(name + ".md")
		if err != nil {
			panic("docs: a page of the order is missing: " + name)
		}
		title, _, _ := strings.Cut(strings.TrimPrefix(string(text), "# "), "\n")
		list[i] = Page{Name: name, Title: title, Text: string(text)}
	}
	return list
}

// Page is one page of the manual, in Markdown.
type Page struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	Text  string `json:"text"`
}

// Find gives a page by its name.
func Find(name string) (Page, error) {
	for _, p := range Pages() {
		if p.Name == name {
			return p, nil
		}
	}
	return Page{}, fmt.Errorf("there is no page %q; the pages are %s", name, strings.Join(order, ", "))
}
