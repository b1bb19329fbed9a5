// Go: time.AfterFunc, which re-arms itself. The load and the measures of ../../frame.hpp.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

type ticker struct {
	timer   *time.Timer
	due     time.Time // only sampled ones use it
	sampled bool
}

type load struct {
	timers    int
	period    time.Duration
	ticks     uint64
	recording int32
	late      []int64
	lateAt    int64
	fleet     []ticker
}

func mixed(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

func (l *load) phase(i int) time.Duration {
	share := float64(mixed(uint64(i))>>11) / (1 << 53)
	return time.Duration(share * float64(l.period))
}

func (l *load) tick(self *ticker) {
	atomic.AddUint64(&l.ticks, 1)
	if self.sampled {
		l.sample(self)
	}
	self.timer.Reset(l.period)
}

// AfterFunc counts from the last tick, and so does its lateness.
func (l *load) sample(self *ticker) {
	now := time.Now()
	late := now.Sub(self.due)
	self.due = now.Add(l.period)
	if atomic.LoadInt32(&l.recording) != 0 {
		if at := atomic.AddInt64(&l.lateAt, 1) - 1; at < int64(len(l.late)) {
			l.late[at] = int64(late)
		}
	}
}

func sampleShift(timers int) uint {
	switch {
	case timers <= 100:
		return 0
	case timers <= 10_000:
		return 4
	}
	return 7
}

func (l *load) setUp(begin time.Time) {
	mask := 1<<sampleShift(l.timers) - 1
	for i := range l.fleet {
		self := &l.fleet[i]
		self.due = begin.Add(l.phase(i))
		self.sampled = i&mask == 0
		wait := time.Until(self.due)
		if wait < 0 {
			wait = 0
		}
		// Not to fire before the field is set.
		self.timer = time.AfterFunc(time.Hour, func() { l.tick(self) })
		self.timer.Reset(wait)
	}
}

func usage() (cpu int64, sleeps int64) {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		fail(err.Error())
	}
	return r.Utime.Nano() + r.Stime.Nano(), r.Nvcsw
}

func residentBytes() int64 {
	var all, resident int64
	if f, err := os.Open("/proc/self/statm"); err == nil {
		fmt.Fscan(f, &all, &resident)
		f.Close()
	}
	return resident * int64(os.Getpagesize())
}

func fail(why string) {
	fmt.Fprintln(os.Stderr, "go_afterfunc: "+why)
	os.Exit(1)
}

func quantileUs(sorted []int64, quantile float64) float64 {
	if len(sorted) == 0 {
		return -1
	}
	at := int(quantile * float64(len(sorted)))
	if at >= len(sorted) {
		at = len(sorted) - 1
	}
	return float64(sorted[at]) / 1000
}

func seconds(text string) time.Duration {
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		fail("not a number of seconds: " + text)
	}
	return time.Duration(value * float64(time.Second))
}

func main() {
	const help = "usage: %s <timers> <period_ns> <warm_up_s> <measured_s>\n" +
		"Runs that load and prints its cost as one line of JSON.\n"
	if len(os.Args) == 2 && os.Args[1] == "--help" {
		fmt.Printf(help, os.Args[0])
		return
	}
	if len(os.Args) != 5 {
		fmt.Fprintf(os.Stderr, help, os.Args[0])
		os.Exit(2)
	}
	timers, err := strconv.Atoi(os.Args[1])
	if err != nil {
		fail("not a number: " + os.Args[1])
	}
	period, err := strconv.ParseInt(os.Args[2], 10, 64)
	if err != nil {
		fail("not a number: " + os.Args[2])
	}
	warmUp, measured := seconds(os.Args[3]), seconds(os.Args[4])
	runtime.GOMAXPROCS(1)

	l := &load{timers: timers, period: time.Duration(period), late: make([]int64, 1<<20)}
	memory := residentBytes()
	l.fleet = make([]ticker, timers)
	begin := time.Now().Add(time.Millisecond + time.Duration(timers)*1000)
	before, _ := usage()
	l.setUp(begin)
	after, _ := usage()
	memorySetUp := residentBytes()

	if wait := time.Until(begin); wait > 0 {
		time.Sleep(wait)
	}
	time.Sleep(warmUp)
	for i := 0; i < 400 && atomic.LoadUint64(&l.ticks) < uint64(timers); i++ {
		time.Sleep(20 * time.Millisecond)
	}
	atomic.StoreInt32(&l.recording, 1)
	from := time.Now()
	cpuFrom, sleepsFrom := usage()
	ticksFrom := atomic.LoadUint64(&l.ticks)
	time.Sleep(measured)
	cpuTo, sleepsTo := usage()
	ticksTo := atomic.LoadUint64(&l.ticks)
	took := time.Since(from).Seconds()
	atomic.StoreInt32(&l.recording, 0)
	memoryEnd := residentBytes()

	downFrom, _ := usage()
	for i := range l.fleet {
		l.fleet[i].timer.Stop()
	}
	downTo, _ := usage()

	n := float64(timers)
	ticks := float64(ticksTo - ticksFrom)
	count := l.lateAt
	if count > int64(len(l.late)) {
		count = int64(len(l.late))
	}
	late := l.late[:count]
	sort.Slice(late, func(a, b int) bool { return late[a] < late[b] })
	early := sort.Search(len(late), func(i int) bool { return late[i] >= 0 })
	earlyShare := 0.0
	if len(late) > 0 {
		earlyShare = float64(early) / float64(len(late))
	}
	costPerTick := 0.0
	if ticks > 0 {
		costPerTick = float64(cpuTo-cpuFrom) / ticks
	}
	fmt.Printf("{\"contestant\": \"go_afterfunc\", \"timers\": %d, \"period_ns\": %d, \"ticks\": %.0f, "+
		"\"delivered\": %.4f, \"ticks_per_s\": %.0f, \"cpu_ns_per_tick\": %.1f, "+
		"\"bytes_per_timer\": %.1f, \"bytes_per_timer_at_end\": %.1f, \"late_p50_us\": %.1f, "+
		"\"late_p99_us\": %.1f, \"late_max_us\": %.1f, \"early_share\": %.6f, \"set_up_ns\": %.1f, "+
		"\"tear_down_ns\": %.1f, \"sleeps_per_s\": %.0f}\n",
		timers, period, ticks, ticks/(n*took*1e9/float64(period)), ticks/took, costPerTick,
		float64(memorySetUp-memory)/n, float64(memoryEnd-memory)/n,
		quantileUs(late, 0.5), quantileUs(late, 0.99), quantileUs(late, 1), earlyShare,
		float64(after-before)/n, float64(downTo-downFrom)/n, float64(sleepsTo-sleepsFrom)/took)
}
