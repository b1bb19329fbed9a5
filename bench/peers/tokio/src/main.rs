// tokio: a task with an interval for each timer, on the current-thread runtime. The load and the
// measures of ../../../frame.hpp.
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};

struct Load {
    timers: u64,
    period: Duration,
    begin: Cell<Instant>,
    ticks: Cell<u64>,
    recording: Cell<bool>,
    late: RefCell<Vec<i64>>,
}

fn mixed(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d049bb133111eb);
    z ^ (z >> 31)
}

impl Load {
    fn first_due(&self, i: u64) -> Instant {
        let share = (mixed(i) >> 11) as f64 / (1u64 << 53) as f64;
        let phase = share * self.period.as_nanos() as f64;
        self.begin.get() + Duration::from_nanos(phase as u64)
    }

    // Slots that are left out are no lateness, but lost ticks.
    fn sample(&self, due: &mut Instant) {
        let now = Instant::now();
        let period = self.period.as_nanos() as i64;
        let mut late = if now >= *due {
            (now - *due).as_nanos() as i64
        } else {
            -((*due - now).as_nanos() as i64)
        };
        if late >= period {
            *due += Duration::from_nanos((late / period * period) as u64);
            late %= period;
        }
        *due += self.period;
        let mut all = self.late.borrow_mut();
        if self.recording.get() && all.len() < all.capacity() {
            all.push(late);
        }
    }
}

fn usage() -> (i64, i64) {
    let mut r: libc::rusage = unsafe { std::mem::zeroed() };
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut r) };
    let ns = |t: libc::timeval| t.tv_sec as i64 * 1_000_000_000 + t.tv_usec as i64 * 1000;
    (ns(r.ru_utime) + ns(r.ru_stime), r.ru_nvcsw as i64)
}

fn resident_bytes() -> i64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|field| field.parse::<i64>().ok());
    pages.unwrap_or(0) * unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as i64
}

fn quantile_us(sorted: &[i64], quantile: f64) -> f64 {
    if sorted.is_empty() {
        return -1.0;
    }
    let at = (quantile * sorted.len() as f64) as usize;
    sorted[at.min(sorted.len() - 1)] as f64 / 1000.0
}

fn sample_mask(timers: u64) -> u64 {
    let shift = match timers {
        0..=100 => 0,
        101..=10_000 => 4,
        _ => 7,
    };
    (1 << shift) - 1
}

async fn tick_for_ever(load: Rc<Load>, i: u64) {
    let mut due = load.first_due(i);
    let mut interval = tokio::time::interval_at(due, load.period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let sampled = i & sample_mask(load.timers) == 0;
    loop {
        interval.tick().await;
        load.ticks.set(load.ticks.get() + 1);
        if sampled {
            load.sample(&mut due);
        }
    }
}

async fn measure(load: Rc<Load>, warm_up: Duration, measured: Duration) {
    let memory = resident_bytes();
    let before = usage();
    load.begin.set(Instant::now() + Duration::from_nanos(1_000_000 + load.timers * 1000));
    let mut tasks = Vec::with_capacity(load.timers as usize);
    for i in 0..load.timers {
        tasks.push(tokio::task::spawn_local(tick_for_ever(load.clone(), i)));
    }
    // Each task allocates the state of its interval when it is polled first.
    tokio::task::yield_now().await;
    let after = usage();
    let memory_set_up = resident_bytes();

    tokio::time::sleep_until(load.begin.get() + warm_up).await;
    for _ in 0..400 {
        if load.ticks.get() >= load.timers {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    load.recording.set(true);
    let from = Instant::now();
    let usage_from = usage();
    let ticks_from = load.ticks.get();
    tokio::time::sleep(measured).await;
    let usage_to = usage();
    let ticks = (load.ticks.get() - ticks_from) as f64;
    let took = from.elapsed().as_secs_f64();
    load.recording.set(false);
    let memory_end = resident_bytes();

    let down_from = usage();
    for task in &tasks {
        task.abort();
    }
    for task in tasks {
        let _ = task.await;
    }
    let down_to = usage();

    let mut late = load.late.borrow_mut();
    late.sort_unstable();
    let early = late.iter().filter(|each| **each < 0).count();
    let n = load.timers as f64;
    println!(
        "{{\"contestant\": \"tokio_interval\", \"timers\": {}, \"period_ns\": {}, \"ticks\": {:.0}, \
         \"delivered\": {:.4}, \"ticks_per_s\": {:.0}, \"cpu_ns_per_tick\": {:.1}, \
         \"bytes_per_timer\": {:.1}, \"bytes_per_timer_at_end\": {:.1}, \"late_p50_us\": {:.1}, \
         \"late_p99_us\": {:.1}, \"late_max_us\": {:.1}, \"early_share\": {:.6}, \
         \"set_up_ns\": {:.1}, \"tear_down_ns\": {:.1}, \"sleeps_per_s\": {:.0}}}",
        load.timers,
        load.period.as_nanos(),
        ticks,
        ticks / (n * took / load.period.as_secs_f64()),
        ticks / took,
        (usage_to.0 - usage_from.0) as f64 / ticks.max(1.0),
        (memory_set_up - memory) as f64 / n,
        (memory_end - memory) as f64 / n,
        quantile_us(&late, 0.5),
        quantile_us(&late, 0.99),
        quantile_us(&late, 1.0),
        early as f64 / (late.len().max(1)) as f64,
        (after.0 - before.0) as f64 / n,
        (down_to.0 - down_from.0) as f64 / n,
        (usage_to.1 - usage_from.1) as f64 / took,
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let help = "<timers> <period_ns> <warm_up_s> <measured_s>\n\
                Runs that load and prints its cost as one line of JSON.";
    if arguments.len() == 2 && arguments[1] == "--help" {
        println!("usage: {} {}", arguments[0], help);
        return;
    }
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse::<f64>().ok());
    let (timers, period, warm_up, measured) = match (number(1), number(2), number(3), number(4)) {
        (Some(a), Some(b), Some(c), Some(d)) if arguments.len() == 5 => (a, b, c, d),
        _ => {
            eprintln!("usage: {} {}", arguments[0], help);
            std::process::exit(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.unwrap_or_else(|failure| {
        eprintln!("tokio_interval: {}", failure);
        std::process::exit(1);
    });
    let load = Rc::new(Load {
        timers: timers as u64,
        period: Duration::from_nanos(period as u64),
        begin: Cell::new(Instant::now()),
        ticks: Cell::new(0),
        recording: Cell::new(false),
        late: RefCell::new(Vec::with_capacity(1 << 20)),
    });
    let local = tokio::task::LocalSet::new();
    let job = measure(load, Duration::from_secs_f64(warm_up), Duration::from_secs_f64(measured));
    local.block_on(&runtime, job);
}
