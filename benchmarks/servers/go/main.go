// net/http on one core: server PORT.
package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"runtime"
)

var (
	hello = []byte("Hello, www!\n")
	large = bytes.Repeat([]byte("x"), 65536)
	piece = bytes.Repeat([]byte("x"), 1024)
)

func root(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if r.Method == "POST" {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
		return
	}
	w.Write(hello)
}

func whole(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Length", fmt.Sprint(len(large)))
	w.Write(large)
}

func stream(w http.ResponseWriter, r *http.Request) {
	for i := 0; i < 64; i++ {
		w.Write(piece)
		w.(http.Flusher).Flush()
	}
}

func main() {
	runtime.GOMAXPROCS(1)
	http.HandleFunc("/", root)
	http.HandleFunc("/large", whole)
	http.HandleFunc("/stream", stream)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
