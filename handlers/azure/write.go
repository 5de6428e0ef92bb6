package azure

import (
	"net/http"

	"github.com/go-json-experiment/json"
)

// write answers with a body.
func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.MarshalWrite(w, body) // the client is gone, if at all
}
