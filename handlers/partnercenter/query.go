package partnercenter

import (
	"net/url"
	"strconv"
	"strings"
)

// query is the query of an address, by parameter in lower case. Parameters that are not known are passed
// over.
type query map[string]string

func readQuery(raw string) (query, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, badInput("The query of the address is not valid.")
	}
	q := make(query, len(values))
	for name, given := range values {
		name = strings.ToLower(name)
		if _, twice := q[name]; twice || len(given) > 1 {
			return nil, badInput("The address has a parameter twice.")
		}
		q[name] = given[0]
	}
	return q, nil
}

// size is how many rows a page should hold; 0 and everything above pageSize is pageSize.
func (q query) size() (int, error) {
	text := q["size"]
	if text == "" {
		return pageSize, nil
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil || n < 0:
		return 0, badInput("size is not a whole number from 0 to " + strconv.Itoa(pageSize) + ".")
	case n == 0:
		return pageSize, nil
	default:
		return min(n, pageSize), nil
	}
}

// flag reads a parameter that is true or false; false when it is absent.
func (q query) flag(name string) (bool, error) {
	switch strings.ToLower(q[strings.ToLower(name)]) {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, badInput(name + " is neither true nor false.")
	}
}
