package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// column is one column of a table: a title and where its value stands in a row.
type column struct {
	title string
	path  string // members joined by dots
}

// write prints rows as they come, in the form the user asked for. Columns choose what a table and CSV
// show; JSON shows everything.
func (a *app) write(rows iter.Seq2[json.RawMessage, error], columns []column) error {
	switch a.Output {
	case "json":
		return writeJSON(a.stdout, rows)
	case "jsonl":
		return writeJSONLines(a.stdout, rows)
	case "csv":
		return writeCSV(a.stdout, rows, columns)
	default:
		return writeTable(a.stdout, rows, columns)
	}
}

// one is the only row of a result.
func one(row json.RawMessage) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) { yield(row, nil) }
}

// writeOne prints a result of one row; as JSON it is an object, not a list.
func (a *app) writeOne(v any, columns []column) error {
	row, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode the result: %w", err)
	}
	if a.Output == "json" {
		return indent(a.stdout, row)
	}
	return a.write(one(row), columns)
}

func indent(w io.Writer, row json.RawMessage) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(row)
}

func writeJSON(w io.Writer, rows iter.Seq2[json.RawMessage, error]) error {
	all := []json.RawMessage{}
	for row, err := range rows {
		if err != nil {
			return err
		}
		all = append(all, row)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(all)
}

func writeJSONLines(w io.Writer, rows iter.Seq2[json.RawMessage, error]) error {
	for row, err := range rows {
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%s\n", row); err != nil {
			return err
		}
	}
	return nil
}

func writeCSV(w io.Writer, rows iter.Seq2[json.RawMessage, error], columns []column) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true // RFC 4180
	titles := make([]string, len(columns))
	for i, c := range columns {
		titles[i] = c.path
	}
	if err := out.Write(titles); err != nil {
		return err
	}
	for row, err := range rows {
		if err != nil {
			return err
		}
		cells, err := cellsOf(row, columns)
		if err != nil {
			return err
		}
		for i, cell := range cells {
			cells[i] = formulaSafe(cell)
		}
		if err := out.Write(cells); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// formulaSafe keeps a spreadsheet from running a cell that somebody else has written.
func formulaSafe(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

func writeTable(w io.Writer, rows iter.Seq2[json.RawMessage, error], columns []column) error {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault
	t.Style().Options = table.Options{SeparateHeader: true, SeparateColumns: false}
	header := make(table.Row, len(columns))
	for i, c := range columns {
		header[i] = c.title
	}
	t.AppendHeader(header)
	for row, err := range rows {
		if err != nil {
			return err
		}
		cells, err := cellsOf(row, columns)
		if err != nil {
			return err
		}
		line := make(table.Row, len(cells))
		for i, cell := range cells {
			line[i] = printable(toTheSecond(cell))
		}
		t.AppendRow(line)
	}
	_, err := fmt.Fprintln(w, t.Render())
	return err
}

// toTheSecond shortens a time for people; JSON and CSV keep all of it.
func toTheSecond(cell string) string {
	if at, err := time.Parse(time.RFC3339Nano, cell); err == nil {
		return at.UTC().Format("2006-01-02 15:04:05Z")
	}
	return cell
}

// printable keeps what others have written from steering a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '�'
		}
		return r
	}, s)
}

func cellsOf(row json.RawMessage, columns []column) ([]string, error) {
	var object map[string]any
	d := json.NewDecoder(strings.NewReader(string(row)))
	d.UseNumber()
	if err := d.Decode(&object); err != nil {
		return nil, fmt.Errorf("read a row: %w", err)
	}
	cells := make([]string, len(columns))
	for i, c := range columns {
		cells[i] = cell(lookUp(object, c.path))
	}
	return cells, nil
}

func lookUp(v any, path string) any {
	for name := range strings.SplitSeq(path, ".") {
		object, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = object[name]
	}
	return v
}

// cell writes a JSON value for people: money with its currency, lists with commas.
func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case map[string]any:
		if amount, money := v["amount"].(string); money {
			return amount + " " + cell(v["currency"])
		}
		if rule, reason := v["rule"].(string); reason {
			return rule + " " + cell(v["code"])
		}
		b, _ := json.Marshal(v) //nolint:errchkjson // it was JSON a moment ago
		return string(b)
	case []any:
		parts := make([]string, len(v))
		for i, part := range v {
			parts[i] = cell(part)
		}
		return strings.Join(parts, ", ")
	default:
		return fmt.Sprint(v)
	}
}
