// The work of the benchmarks, done in Go. Prints the seconds that it took.
package main

import (
	"flag"
	"fmt"
	"runtime"
	"sync"
	"time"
)

var (
	work      = flag.String("work", "exchange", "what to do")
	size      = flag.Int("size", 1000, "how often")
	capacity  = flag.Int("capacity", 0, "of the channel")
	producers = flag.Int("producers", 1, "who share the sending")
	consumers = flag.Int("consumers", 1, "who share the receiving")
	crowd     = flag.Int("crowd", 0, "others who wait at the quiet channel")
	batch     = flag.Int("batch", 1, "goroutines that run at once")
)

var works = map[string]func(){
	"exchange": exchange,
	"range":    iterate,
	"select":   choose,
	"crowd":    chooseInCrowd,
	"spawn":    spawn,
}

func main() {
	flag.Parse()
	do, known := works[*work]
	if !known {
		panic("no such work: " + *work)
	}
	if *crowd > 0 {
		gather()
	}
	started := time.Now()
	do()
	fmt.Println(time.Since(started).Seconds())
}

// together runs f in n goroutines, each counted in all.
func together(all *sync.WaitGroup, n int, f func()) {
	all.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			defer all.Done()
			f()
		}()
	}
}

func exchange() {
	var all sync.WaitGroup
	ch := make(chan int, *capacity)
	together(&all, *producers, func() {
		for i := 0; i < *size / *producers; i++ {
			ch <- i
		}
	})
	together(&all, *consumers, func() {
		for i := 0; i < *size / *consumers; i++ {
			<-ch
		}
	})
	all.Wait()
}

func iterate() {
	ch := make(chan int, *capacity)
	go func() {
		defer close(ch)
		for i := 0; i < *size; i++ {
			ch <- i
		}
	}()
	for range ch {
	}
}

var quiet = make(chan int)

func choose() {
	ch := make(chan int, *capacity)
	go func() {
		for i := 0; i < *size; i++ {
			ch <- i
		}
	}()
	for i := 0; i < *size; i++ {
		select {
		case <-ch:
		case <-quiet:
		}
	}
}

// chooseInCrowd lets every select wait: the next item comes a turn later.
func chooseInCrowd() {
	ch := make(chan int)
	go func() {
		for i := 0; i < *size; i++ {
			ch <- i
			runtime.Gosched()
		}
	}()
	for i := 0; i < *size; i++ {
		select {
		case <-ch:
		case <-quiet:
		}
	}
}

func gather() {
	var here sync.WaitGroup
	here.Add(*crowd)
	for i := 0; i < *crowd; i++ {
		go func() {
			here.Done()
			<-quiet
		}()
	}
	here.Wait()
	runtime.Gosched()
}

func spawn() {
	for i := 0; i < *size / *batch; i++ {
		var all sync.WaitGroup
		together(&all, *batch, func() {})
		all.Wait()
	}
}
