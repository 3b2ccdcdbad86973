//! A search for bytes that break the receiving side: seeds, changed at random, each time with the same
//! beginning. `OSS_CALLBACK_FUZZ=600` searches on for so many seconds with a beginning of its own.

use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use oss_callback_tests::hostile::PROPERTIES;

/// Changes of each seed in the usual run.
const CHANGES: usize = 400;

const SEEDS: &[&str] = &[
    "",
    "\0bucket=b&object=k%20c&etag=E&size=12&mimeType=image%2Fjpeg&order=42&x=",
    "\u{1}{\"bucket\":\"b\",\"object\":\"k\\u0020\\ud83d\\ude00\",\"size\":12,\"crc64\":\"18446744073709551615\"}",
    "\u{2}b=b&k=k&s=7&c=1&o=42",
    "\u{4}k=${object}&v=${x:v}\0k=a%2Fb&v=%F0%9F",
    "\u{5}{\"k\":${object},\"n\":{\"s\":${size}}}\0{\"k\":\"a\",\"n\":{\"s\":1}}",
    "a/b c|o=1&2|text/plain; charset=utf-8",
    "\u{feff}k\"\\\u{2028}|${x:order}%7B|\u{0}\u{1}",
    "/cb?a=1&b=%2F|x-oss-signature-version|2.0|bucket=b",
    "https://app.example.com/cb#f|x-original-uri|/cb|{}",
    "http://gosspublic.alicdn.com/callback_pub_key_v1.pem",
    "https://gosspublic.alicdn.com/keys/v2.pem",
    "https://gosspublic.alicdn.com@127.0.0.1:80/k.pem",
];

/// What tends to be read in two ways.
const FRAGMENTS: &[&str] = &[
    "&",
    "=",
    "%",
    "%00",
    "%2",
    "%C3%28",
    "+",
    "\"",
    "\\",
    "\\u",
    "\\ud800",
    "{",
    "}",
    "[",
    "]",
    "[[[[[[[[",
    ":",
    ",",
    "null",
    "1e999",
    "-0",
    "18446744073709551616",
    "${",
    "${object}",
    "${x:a}",
    "$",
    "|",
    "\0",
    "\r\n",
    "\u{feff}",
    "\u{202e}",
    "é",
    "😀",
    "size=",
    "bucket=",
    "x:",
    "seal=",
    "/",
    "//",
    "..",
    "@",
    "#",
    "?",
    ":80",
    "\u{2215}",
    "gosspublic.alicdn.com",
    "https://",
    "evil.example",
];

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound.max(1)
    }

    fn changed(&mut self, seed: &[u8]) -> Vec<u8> {
        let mut data = seed.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(data.len() + 1);
            match self.below(6) {
                0 => drop(data.splice(at..at, FRAGMENTS[self.below(FRAGMENTS.len())].bytes())),
                1 if at < data.len() => data[at] = self.below(256) as u8,
                2 if at < data.len() => data[at] ^= 1 << self.below(8),
                3 => data.truncate(at),
                4 => drop(data.drain(at..(at + self.below(8)).min(data.len()))),
                _ => {
                    let other = SEEDS[self.below(SEEDS.len())].as_bytes();
                    data.splice(at..at, other[self.below(other.len() + 1)..].iter().copied());
                }
            }
        }
        data
    }
}

fn try_all(data: &[u8]) {
    for (name, property) in PROPERTIES {
        if let Err(panic) = catch_unwind(|| property(data)) {
            eprintln!("`{name}` does not hold for {}", data.escape_ascii());
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn whatever_arrives_is_understood_as_it_was_meant_or_refused() {
    let seconds = std::env::var("OSS_CALLBACK_FUZZ").ok().and_then(|text| text.parse().ok());
    let mut random = Random(0x005E_ED0F_0551);
    for seed in SEEDS {
        try_all(seed.as_bytes());
        for _ in 0..CHANGES {
            try_all(&random.changed(seed.as_bytes()));
        }
    }
    let Some(seconds) = seconds else { return };
    let (until, mut tried) = (Instant::now() + Duration::from_secs(seconds), 0_u64);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    random.0 ^= now.as_nanos() as u64;
    let mut pool: Vec<Vec<u8>> = SEEDS.iter().map(|seed| seed.as_bytes().to_vec()).collect();
    while Instant::now() < until {
        let seed = pool[random.below(pool.len())].clone();
        let changed = random.changed(&seed);
        try_all(&changed);
        tried += 1;
        // Changes of changes go further; the pool stays small.
        if changed.len() < 4096 && random.below(8) == 0 {
            if pool.len() < 500 {
                pool.push(changed);
            } else {
                let at = SEEDS.len() + random.below(500 - SEEDS.len());
                pool[at] = changed;
            }
        }
    }
    eprintln!("{tried} inputs in {seconds} s");
}
