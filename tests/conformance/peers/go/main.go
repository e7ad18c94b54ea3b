// Reads requests as net/http's server does: on each line of stdin all that one client
// sends, in base64; on each line of stdout what was made of it, in JSON.
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
)

type request struct {
	Method, Target, Body string
}

type reading struct {
	Requests []request
	Then     string
}

func read(data []byte) (told reading) {
	told.Requests = []request{}
	input := bufio.NewReader(bytes.NewReader(data))
	for {
		r, err := http.ReadRequest(input)
		if err == io.EOF {
			told.Then = "open"
			return
		}
		var body []byte
		if err == nil {
			body, err = io.ReadAll(r.Body)
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			told.Then = "incomplete"
			return
		}
		if err != nil {
			told.Then = "refused"
			return
		}
		text := base64.StdEncoding.EncodeToString(body)
		told.Requests = append(told.Requests, request{r.Method, r.RequestURI, text})
		if r.Close {
			told.Then = "closed"
			return
		}
	}
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		data, err := base64.StdEncoding.DecodeString(lines.Text())
		if err != nil {
			panic(err)
		}
		answers.Encode(read(data))
	}
}
