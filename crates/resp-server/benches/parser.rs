//! Time per request of the parser: `cargo bench -p resp-server --bench parser`.
//!
//! Each row parses a batch of so many equal requests, as a pipeline of that depth makes them; "item" is one request.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use resp_server::proto::{Batch, Limits, Parser};

const DEPTHS: [usize; 3] = [1, 16, 64];

fn main() {
    divan::main();
}

#[divan::bench(args = DEPTHS)]
fn set(bencher: Bencher<'_, '_>, depth: usize) {
    parse(bencher, b"*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000001\r\n$16\r\nxxxxxxxxxxxxxxxx\r\n", depth);
}

#[divan::bench(args = DEPTHS)]
fn ping(bencher: Bencher<'_, '_>, depth: usize) {
    parse(bencher, b"*1\r\n$4\r\nPING\r\n", depth);
}

#[divan::bench(args = DEPTHS)]
fn ping_inline(bencher: Bencher<'_, '_>, depth: usize) {
    parse(bencher, b"PING\r\n", depth);
}

fn parse(bencher: Bencher<'_, '_>, request: &[u8], depth: usize) {
    let mut bytes = request.repeat(depth);
    let mut parser = Parser::new();
    let mut batch = Batch::new();
    let limits = Limits::default();
    bencher.counter(ItemsCount::new(depth)).bench_local(|| {
        let taken = parser.parse(black_box(&mut bytes), &mut batch, depth, &limits);
        assert_eq!(taken, Ok(request.len() * depth));
        black_box(&batch);
    });
}
