//! The floor: the same pages over kept connections, read into one buffer and forgotten.
//!
//! One thread, no runtime, no parsing, and the pods in as many groups an interval as podgauge has them.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    thread::sleep,
    time::Instant,
};

use crate::{INTERVAL, farm, process, spread::Spread};

/// As many as the scraper's places in the interval.
const GROUPS: u32 = 20;

/// Microseconds on a processor for each page, in each of so many rounds.
pub(crate) fn run(pods: usize, port: u16, rounds: usize) -> Spread {
    let connect = |n| TcpStream::connect((farm::address(n), port)).unwrap();
    let group = |first| (first..pods).step_by(GROUPS as usize).map(connect).collect();
    let mut groups: Vec<Vec<TcpStream>> = (0..GROUPS as usize).map(group).collect();
    let mut buffer = vec![0; 1 << 17];
    let mut round = || {
        let (started, before) = (Instant::now(), process::own_cpu());
        for (at, group) in (0..).zip(&mut groups) {
            sleep((INTERVAL / GROUPS * at).saturating_sub(started.elapsed()));
            for stream in group.iter_mut() {
                stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: pod\r\n\r\n").unwrap();
            }
            for stream in group.iter_mut() {
                read_answer(stream, &mut buffer);
            }
        }
        (process::own_cpu() - before).as_secs_f64() * 1e6 / pods as f64
    };
    round();
    (0..rounds).map(|_| round()).collect()
}

fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) {
    let (mut read, mut end) = (0, None);
    while end.is_none_or(|end| read < end) {
        read += stream.read(&mut buffer[read..]).unwrap();
        if end.is_none() {
            let head = buffer[..read].windows(4).position(|bytes| bytes == b"\r\n\r\n").map(|at| at + 4);
            end = head.map(|head| head + length(&buffer[..head]));
        }
    }
}

fn length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head);
    head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap().parse().unwrap()
}
