//! `/metrics`: what a Prometheus server asks for, on an address of its own (`metrics-bind`, `metrics-port`; off by default).
//!
//! ```text
//!  scraper -- HTTP --> a thread of its own -- asks --> event loop: a snapshot of counters, some 20 us
//!                        |  text, HTTP <-- Metrics ------+
//! ```
//!
//! Whatever scrapers do, slow ones and many, is that thread's. The event loop makes one bounded snapshot for each scrape, which is a turn
//! in the stall ledger as any other.

use std::convert::Infallible;
use std::fmt;
use std::net::TcpListener as StdListener;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::{Shared, host};
use crate::engine::metrics::{Metrics, Number, OfCommand};

/// Scrapes at a time; others wait to be accepted.
const SCRAPES_MAX: usize = 8;
/// How long a scrape may take.
const SCRAPE_MAX: Duration = Duration::from_secs(10);
/// A snapshot, as the stall ledger names it.
const SNAPSHOT: &str = "metrics";
/// The format that Prometheus reads best.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Asks the event loop for a snapshot.
type Asks = mpsc::Sender<oneshot::Sender<Metrics>>;

/// Serves scrapes for as long as the returned task runs; must be called within the event loop.
pub(super) fn start(listener: StdListener, shared: Rc<Shared>) -> std::io::Result<tokio::task::JoinHandle<()>> {
    let (asks, mut asked) = mpsc::channel::<oneshot::Sender<Metrics>>(SCRAPES_MAX);
    thread::Builder::new().name("metrics".to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => runtime.block_on(accept(listener, asks)),
            Err(error) => tracing::warn!("metrics are not served: {error}"),
        }
    })?;
    Ok(tokio::task::spawn_local(async move {
        while let Some(answer) = asked.recv().await {
            // Who asked may have gone.
            let _ = answer.send(snapshot(&shared));
        }
    }))
}

fn snapshot(shared: &Shared) -> Metrics {
    let mut engine = shared.engine.borrow_mut();
    let began_ns = shared.clock.ns();
    engine.begin_turn(began_ns, 0);
    engine.set_now(shared.clock.at(began_ns));
    let metrics = engine.metrics();
    let now_ns = shared.clock.ns();
    engine.ledger.part(SNAPSHOT, 1, now_ns);
    engine.end_turn(now_ns);
    metrics
}

/// Accepts scrapers until the event loop has ended.
async fn accept(listener: StdListener, asks: Asks) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::warn!("metrics are not served: {error}"),
    };
    let room = Arc::new(Semaphore::new(SCRAPES_MAX));
    loop {
        let place = Arc::clone(&room).acquire_owned().await.expect("the semaphore is never closed");
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            () = asks.closed() => return,
        };
        let Ok((stream, _)) = stream else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let asks = asks.clone();
        tokio::task::spawn(async move {
            let answer = service_fn(|request| answer(request, asks.clone()));
            let served = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), answer);
            // A scraper that is slow, or breaks off, is no matter.
            let _ = tokio::time::timeout(SCRAPE_MAX, served).await;
            drop(place);
        });
    }
}

async fn answer(request: Request<Incoming>, asks: Asks) -> Result<Response<Full<Bytes>>, Infallible> {
    let refusal = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => match scraped(&asks).await {
            Some(text) => {
                let mut response = Response::new(Full::from(text));
                response.headers_mut().insert(CONTENT_TYPE, OPEN_METRICS.parse().expect("it is a header's value"));
                return Ok(response);
            }
            None => (StatusCode::SERVICE_UNAVAILABLE, "the server ends\n"),
        },
        (_, "/metrics") => (StatusCode::METHOD_NOT_ALLOWED, "GET /metrics\n"),
        _ => (StatusCode::NOT_FOUND, "the metrics are at /metrics\n"),
    };
    let mut response = Response::new(Full::from(refusal.1));
    *response.status_mut() = refusal.0;
    if refusal.0 == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, "GET, HEAD".parse().expect("it is a header's value"));
    }
    Ok(response)
}

/// The text of a scrape; `None` if the event loop has ended.
async fn scraped(asks: &Asks) -> Option<String> {
    let (asked, answered) = oneshot::channel();
    asks.send(asked).await.ok()?;
    let mut metrics = answered.await.ok()?;
    // What the system knows of the process is asked here, where it may take its time.
    let (user_us, system_us) = host::cpu_us();
    let seconds = |us: u64| us as f64 / 1e6;
    let of_process = [
        ("memory_resident_bytes", "Memory that the process has resident", false, host::resident_bytes() as f64),
        ("cpu_user_seconds", "Processor time of the process as user", true, seconds(user_us)),
        ("cpu_system_seconds", "Processor time of the process in the system", true, seconds(system_us)),
    ];
    metrics.numbers.extend(of_process.map(|(name, help, counts, value)| Number { name, help, counts, value }));
    Some(text_of(metrics))
}

/// The text of a snapshot.
fn text_of(metrics: Metrics) -> String {
    let mut registry = Registry::with_prefix("evenkeel");
    registry.register_collector(Box::new(Told(metrics)));
    let mut text = String::new();
    encode(&mut text, &registry).expect("writing to memory cannot fail");
    text
}

/// A metric with a label: its name, what it is, and its value for one thing.
type Family<T> = (&'static str, &'static str, fn(&T) -> f64);

/// A snapshot as the registry takes it.
#[derive(Debug)]
struct Told(Metrics);

impl Collector for Told {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Told(metrics) = self;
        for number in &metrics.numbers {
            if number.counts {
                let counter = ConstCounter::new(number.value);
                counter.encode(encoder.encode_descriptor(number.name, number.help, None, counter.metric_type())?)?;
            } else {
                let gauge = ConstGauge::new(number.value);
                gauge.encode(encoder.encode_descriptor(number.name, number.help, None, gauge.metric_type())?)?;
            }
        }
        let by_command: [Family<OfCommand>; 4] = [
            ("command_calls", "Times that a command was carried out", |command| command.calls as f64),
            ("command_seconds", "Time that a command took altogether", |command| command.seconds),
            ("command_rejected_calls", "Times that a command was refused", |command| command.rejected as f64),
            ("command_failed_calls", "Times that a command answered with an error", |command| command.failed as f64),
        ];
        for (name, help, value) in by_command {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for command in &metrics.commands {
                let labels = [("command", command.name)];
                ConstCounter::new(value(command)).encode(family.encode_family(&labels)?)?;
            }
        }
        let by_database: [Family<(usize, u64, u64)>; 2] = [
            ("keys", "Keys of a database", |database| database.1 as f64),
            ("keys_expiring", "Keys of a database that have a time to live", |database| database.2 as f64),
        ];
        for (name, help, value) in by_database {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for database in &metrics.databases {
                let labels = [("db", format!("db{}", database.0))];
                ConstGauge::new(value(database)).encode(family.encode_family(&labels)?)?;
            }
        }
        let help = "How long turns of the event loop took: what nobody else runs in";
        let mut turns = encoder.encode_descriptor("turn_seconds", help, None, MetricType::Histogram)?;
        let mut buckets = metrics.turns.buckets.clone();
        let told: u64 = buckets.iter().map(|&(_, count)| count).sum();
        buckets.push((f64::INFINITY, metrics.turns.count.saturating_sub(told)));
        turns.encode_histogram::<NoLabelSet>(metrics.turns.seconds, metrics.turns.count, &buckets, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::metrics::Turns;

    #[test]
    fn a_snapshot_is_told_in_the_format_of_open_metrics() {
        let text = text_of(Metrics {
            numbers: vec![
                Number { name: "connected_clients", help: "Clients", counts: false, value: 3.0 },
                Number { name: "net_input_bytes", help: "Bytes", counts: true, value: 5e9 },
            ],
            commands: vec![OfCommand { name: "client|list", calls: 7, seconds: 0.5, rejected: 0, failed: 1 }],
            databases: vec![(2, 10, 4)],
            turns: Turns { buckets: vec![(0.125, 2), (0.5, 1)], count: 4, seconds: 0.25 },
        });
        for line in [
            "# TYPE evenkeel_connected_clients gauge",
            "evenkeel_connected_clients 3.0",
            "evenkeel_net_input_bytes_total 5000000000.0",
            "evenkeel_command_calls_total{command=\"client|list\"} 7.0",
            "evenkeel_command_seconds_total{command=\"client|list\"} 0.5",
            "evenkeel_keys{db=\"db2\"} 10.0",
            "evenkeel_keys_expiring{db=\"db2\"} 4.0",
            "# TYPE evenkeel_turn_seconds histogram",
            "evenkeel_turn_seconds_sum 0.25",
            "evenkeel_turn_seconds_count 4",
            "evenkeel_turn_seconds_bucket{le=\"0.125\"} 2",
            "evenkeel_turn_seconds_bucket{le=\"0.5\"} 3",
            "evenkeel_turn_seconds_bucket{le=\"+Inf\"} 4",
            "# EOF",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} in\n{text}");
        }
    }
}
