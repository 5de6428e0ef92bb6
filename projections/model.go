package projections

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// model is one read model: its tables and how events become their rows. All models lie in one database
// file, so that one transaction takes all of them from one position to the next.
type model struct {
	name    string
	version int // raised whenever the same events give other rows
	tables  []table
	event   func(b *batch, e Entry) error
}

// table is one table of a model. Its schema is part of the fingerprint of the database file.
type table struct {
	name    string
	schema  string   // what stands between CREATE TABLE name and the end, and what the fold needs besides
	key     string   // columns that order its rows for ever, whatever the order in which they were written
	indexes []string // for queries alone: a rebuild makes them once the rows are there
}

// models is every read model there is, in the order in which they are given an event: a later one may
// rely on the rows of an earlier one.
var models = []model{
	customersModel, subscriptionsModel, permissionsModel, reservationsModel, ordersModel,
	pricesModel, eventsModel, activityModel,
}

// checkpointTable says up to where the rows are the fold of the log.
const checkpointTable = `CREATE TABLE checkpoint (
	one      INTEGER PRIMARY KEY CHECK (one = 1),
	sequence INTEGER NOT NULL,
	position INTEGER NOT NULL,
	hash     BLOB NOT NULL,
	time     INTEGER NOT NULL
) STRICT;
INSERT INTO checkpoint VALUES (1, 0, 0, zeroblob(32), 0);`

// schemaOf is the script that makes the tables of the models.
func schemaOf(list []model) string {
	var script strings.Builder
	script.WriteString(checkpointTable)
	for _, m := range list {
		for _, t := range m.tables {
			fmt.Fprintf(&script, "\nCREATE TABLE %s %s;", t.name, t.schema)
		}
	}
	return script.String()
}

// indexesOf is the script that makes the indexes that only queries use.
func indexesOf(list []model) string {
	var script strings.Builder
	for _, m := range list {
		for _, t := range m.tables {
			for _, i := range t.indexes {
				script.WriteString(i)
				script.WriteString(";\n")
			}
		}
	}
	return script.String()
}

// fingerprintOf names a set of models with their versions and tables. Rows made by any other set must
// not be read.
func fingerprintOf(list []model) string {
	var content strings.Builder
	for _, m := range list {
		fmt.Fprintf(&content, "%s %d\n", m.name, m.version)
	}
	content.WriteString(schemaOf(list))
	content.WriteString(indexesOf(list))
	sum := sha256.Sum256([]byte(content.String()))
	return hex.EncodeToString(sum[:6])
}

// unknownEvent is the answer of a fold to an event that it neither uses nor names as one it has no use
// for.
func unknownEvent(model string, e Entry) error {
	return fmt.Errorf("event %d: the read model %s does not know %s: decide what it means there", e.Position, model, e.Event.EventType())
}
