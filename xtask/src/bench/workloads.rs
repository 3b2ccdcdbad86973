//! What is measured, by whom, and what ours must reach beside the others.

/// How a workload's figures are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Operations a second, microseconds of CPU for each.
    Rate,
    /// GiB a second, seconds of CPU for each.
    Bytes,
    /// Milliseconds for each.
    Time,
}

/// Ours beside another, round by round: how many times as fast.
pub struct Pair {
    pub ours: &'static str,
    pub other: &'static str,
    /// Must be reached; 0 where nothing was promised.
    pub floor: f64,
    pub goal: f64,
}

pub struct Workload {
    pub name: &'static str,
    pub title: &'static str,
    /// What the drivers call it.
    pub driver: &'static str,
    pub arguments: &'static [&'static str],
    /// Which of the sink's ports.
    pub port: Option<&'static str>,
    pub unit: Unit,
    pub who: &'static [&'static str],
    pub pairs: &'static [Pair],
    /// What every other's time is told above, such as the bare interpreter's.
    pub over: Option<&'static str>,
}

const BASE: Workload = Workload {
    name: "",
    title: "",
    driver: "",
    arguments: &[],
    port: Some("plain"),
    unit: Unit::Rate,
    who: &[],
    pairs: &[],
    over: None,
};

const fn pair(ours: &'static str, other: &'static str, floor: f64, goal: f64) -> Pair {
    Pair { ours, other, floor, goal }
}

const SMALL: &[&str] = &[
    "raw",
    "rust",
    "rust-start",
    "c",
    "go",
    "python",
    "python-aio",
    "node",
    "rust-opendal",
    "rust-object_store",
    "opendal",
    "opendal-aio",
    "obstore",
    "oss2",
    "oss_v2",
    "js-opendal",
    "ali-oss",
    "go-oss_v2",
];

const SLOW: &[&str] = &[
    "raw",
    "rust",
    "rust-start",
    "c",
    "go",
    "python",
    "python-aio",
    "node",
    "rust-opendal",
    "opendal",
    "js-opendal",
    "ali-oss",
    "oss2",
];

const SMALL_SLOW: &[Pair] = &[
    pair("rust", "raw", 0.95, 0.98),
    pair("c", "raw", 0.95, 0.98),
    pair("go", "raw", 0.95, 0.98),
    pair("python", "raw", 0.95, 0.98),
    pair("python-aio", "raw", 0.95, 0.98),
    pair("node", "raw", 0.95, 0.98),
];

const FILE: &[&str] = &[
    "raw",
    "rust",
    "c",
    "go",
    "python",
    "node",
    "rust-opendal",
    "curl",
    "oss2",
    "oss2-no-crc",
    "oss_v2",
    "opendal",
    "obstore",
    "ali-oss",
    "js-opendal",
    "go-oss_v2",
];

const PARTS: &[&str] = &[
    "rust",
    "c",
    "go",
    "python",
    "node",
    "rust-opendal",
    "rust-object_store",
    "oss2",
    "oss2-no-crc",
    "oss_v2",
    "opendal",
    "obstore",
    "ali-oss",
    "js-opendal",
    "go-oss_v2",
];

const TLS: &[&str] = &["rust", "python", "node", "curl", "oss2", "oss2-no-crc", "ali-oss", "go-oss_v2"];

/// All workloads, in the table's order.
pub const WORKLOADS: &[Workload] = &[
    Workload {
        name: "put-1",
        title: "PUT of 4 KiB with a callback, one after the other",
        driver: "put",
        arguments: &["ways=1"],
        who: SMALL,
        pairs: &[
            pair("rust", "rust-opendal", 1.2, 1.8),
            pair("python", "opendal", 1.3, 2.2),
            pair("python-aio", "opendal-aio", 1.3, 0.0),
            pair("python", "oss2", 25.0, 40.0),
            pair("node", "js-opendal", 1.3, 1.7),
            pair("node", "ali-oss", 8.0, 10.0),
            pair("c", "rust", 0.95, 0.98),
            pair("go", "rust", 0.85, 0.95),
            pair("go", "go-oss_v2", 0.0, 0.0),
            // What is the most that there is to be had.
            pair("raw", "oss2", 0.0, 0.0),
            pair("raw", "ali-oss", 0.0, 0.0),
        ],
        ..BASE
    },
    Workload {
        name: "put-16",
        title: "PUT of 4 KiB with a callback, 16 at once",
        driver: "put",
        arguments: &["ways=16"],
        who: SMALL,
        pairs: &[
            pair("rust", "rust-opendal", 1.4, 1.8),
            pair("python", "opendal", 1.3, 2.2),
            pair("python-aio", "opendal-aio", 1.3, 0.0),
            pair("python", "oss2", 25.0, 40.0),
            pair("node", "js-opendal", 1.3, 2.3),
            pair("node", "ali-oss", 8.0, 30.0),
            pair("c", "rust", 0.95, 0.98),
            pair("go", "rust", 0.85, 0.95),
            pair("go", "go-oss_v2", 0.0, 0.0),
        ],
        ..BASE
    },
    Workload {
        name: "put-1-5ms",
        title: "PUT of 4 KiB with a callback, one after the other, 5 ms of service time",
        driver: "put",
        arguments: &["ways=1"],
        port: Some("slow5"),
        who: SLOW,
        pairs: SMALL_SLOW,
        ..BASE
    },
    Workload {
        name: "put-16-5ms",
        title: "PUT of 4 KiB with a callback, 16 at once, 5 ms of service time",
        driver: "put",
        arguments: &["ways=16"],
        port: Some("slow5"),
        who: SLOW,
        pairs: SMALL_SLOW,
        ..BASE
    },
    Workload {
        name: "inflight-256",
        title: "256 uploads at once, each waiting 1 s for its callback: until the last is done",
        driver: "put",
        arguments: &["ways=256", "once=1", "n=256"],
        port: Some("slow1000"),
        unit: Unit::Rate,
        who: &["rust-start", "python-aio", "node", "opendal-aio", "js-opendal", "ali-oss"],
        ..BASE
    },
    Workload {
        name: "file",
        title: "1 GiB from a file in one PUT",
        driver: "put-file",
        unit: Unit::Bytes,
        who: FILE,
        pairs: &[
            pair("rust", "curl", 1.2, 1.5),
            pair("rust", "rust-opendal", 0.0, 1.05),
            pair("python", "oss2-no-crc", 0.0, 0.0),
            pair("node", "ali-oss", 0.0, 0.0),
        ],
        ..BASE
    },
    Workload {
        name: "multipart",
        title: "1 GiB from a file in parts of 8 MiB, 4 at once",
        driver: "multipart",
        arguments: &["ways=4"],
        unit: Unit::Bytes,
        who: PARTS,
        pairs: &[
            pair("rust", "rust-object_store", 1.1, 1.7),
            pair("rust", "rust-opendal", 0.0, 0.0),
            pair("python", "opendal", 0.0, 0.0),
            pair("python", "oss2", 0.0, 0.0),
            pair("node", "ali-oss", 0.0, 0.0),
        ],
        ..BASE
    },
    Workload {
        name: "file-tls",
        title: "1 GiB from a file in one PUT, over TLS",
        driver: "put-file",
        port: Some("tls"),
        unit: Unit::Bytes,
        who: TLS,
        pairs: &[pair("rust", "curl", 1.5, 1.8), pair("python", "oss2-no-crc", 0.0, 0.0)],
        ..BASE
    },
    Workload {
        name: "multipart-tls",
        title: "1 GiB from a file in parts of 8 MiB, 4 at once, over TLS",
        driver: "multipart",
        arguments: &["ways=4"],
        port: Some("tls"),
        unit: Unit::Bytes,
        who: &["rust", "python", "node", "oss2", "oss2-no-crc", "ali-oss", "go-oss_v2"],
        pairs: &[pair("python", "oss2-no-crc", 0.0, 0.0), pair("node", "ali-oss", 0.0, 0.0)],
        ..BASE
    },
    Workload {
        name: "stream",
        title: "1 GiB from a stream of unknown length in one PUT",
        driver: "stream",
        unit: Unit::Bytes,
        who: &["rust", "python", "node", "curl", "oss2"],
        pairs: &[pair("rust", "curl", 0.0, 0.0), pair("python", "oss2", 0.0, 0.0)],
        ..BASE
    },
    Workload {
        name: "import-python",
        title: "import, above the bare interpreter",
        driver: "import",
        arguments: &["n=5"],
        port: None,
        unit: Unit::Time,
        who: &["bare-python", "python", "oss2", "oss_v2", "opendal", "obstore"],
        pairs: &[pair("python", "oss2", 8.0, 0.0)],
        over: Some("bare-python"),
    },
    Workload {
        name: "require-node",
        title: "require, above the bare interpreter",
        driver: "import",
        arguments: &["n=5"],
        port: None,
        unit: Unit::Time,
        who: &["bare-node", "node", "ali-oss", "js-opendal"],
        pairs: &[pair("node", "ali-oss", 8.0, 0.0)],
        over: Some("bare-node"),
    },
    Workload {
        name: "sign-v4",
        title: "V4 signature of a PUT with a callback, by header",
        driver: "sign-v4",
        port: None,
        who: &["rust", "go", "python", "node", "oss2", "oss_v2", "ali-oss"],
        pairs: &[pair("python", "oss2", 12.0, 15.0), pair("node", "ali-oss", 6.0, 8.0)],
        ..BASE
    },
    Workload {
        name: "sign-v1",
        title: "V1 signature of a PUT with a callback, by header",
        driver: "sign-v1",
        port: None,
        who: &["rust", "python", "node", "oss2", "ali-oss"],
        pairs: &[pair("python", "oss2", 0.0, 0.0), pair("node", "ali-oss", 0.0, 0.0)],
        ..BASE
    },
    Workload {
        name: "presign",
        title: "presigned URL of a PUT",
        driver: "presign",
        port: None,
        who: &["rust", "python", "node", "oss2", "oss_v2", "ali-oss", "go-oss_v2"],
        pairs: &[pair("python", "oss2", 0.0, 0.0), pair("node", "ali-oss", 0.0, 0.0)],
        ..BASE
    },
    Workload {
        name: "encode",
        title: "a callback checked and encoded",
        driver: "encode",
        port: None,
        who: &["rust", "python", "node"],
        ..BASE
    },
    Workload {
        name: "verify",
        title: "a callback's signature verified (RSA of 512 bits, OSS's own key)",
        driver: "verify",
        port: None,
        who: &["rust"],
        ..BASE
    },
    Workload {
        name: "crc64",
        title: "CRC-64 of 256 KiB",
        driver: "crc64",
        arguments: &["size=262144"],
        port: None,
        unit: Unit::Bytes,
        who: &["rust", "oss2"],
        pairs: &[pair("rust", "oss2", 30.0, 0.0)],
        ..BASE
    },
    Workload {
        name: "combine",
        title: "CRC-64 of two parts of 8 MiB, combined",
        driver: "combine",
        port: None,
        who: &["rust", "oss2"],
        pairs: &[pair("rust", "oss2", 0.0, 0.0)],
        ..BASE
    },
    Workload {
        name: "emulator",
        title: "the emulator: PUT of 4 KiB, its callback made and answered",
        driver: "put",
        arguments: &["ways=4"],
        port: None,
        who: &["emulator"],
        ..BASE
    },
];

/// What a row is called.
pub fn label(who: &str) -> &str {
    match who {
        "raw" => "*limit: raw socket or sendfile*",
        "rust" => "**Rust**",
        "rust-start" => "**Rust**, background threads",
        "c" => "**C**",
        "go" => "**Go**",
        "python" => "**Python**",
        "python-aio" => "**Python**, asyncio",
        "node" => "**Node**",
        "rust-opendal" => "opendal (Rust; sends no callback)",
        "rust-object_store" => "object_store (Rust; S3)",
        "opendal" => "opendal (Python; sends no callback)",
        "opendal-aio" => "opendal (Python, asyncio; sends no callback)",
        "obstore" => "obstore (Python; S3)",
        "oss2" => "oss2 (Python)",
        "oss2-no-crc" => "oss2 (Python), CRC-64 off",
        "oss_v2" => "alibabacloud-oss-v2 (Python)",
        "js-opendal" => "opendal (Node; sends no callback)",
        "ali-oss" => "ali-oss (Node)",
        "go-oss_v2" => "alibabacloud-oss-go-sdk-v2 (Go)",
        "bare-python" => "bare Python",
        "bare-node" => "bare Node",
        "emulator" => "**emulator**, with the Rust client",
        other => other,
    }
}

/// Whether it is another's work, which `--peers` asks for.
pub fn is_peer(who: &str) -> bool {
    !matches!(
        who,
        "raw"
            | "rust"
            | "rust-start"
            | "c"
            | "go"
            | "python"
            | "python-aio"
            | "node"
            | "bare-python"
            | "bare-node"
            | "emulator"
    )
}
