//! rskafka as a process: `write SERVERS TOPIC CODEC` reads `key|value` lines; `read SERVERS TOPIC` prints
//! `partition offset value` lines until SIGTERM. rskafka has no groups: a reader has every partition.

use std::collections::BTreeMap;
use std::error::Error;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::io::Write;
use std::sync::Arc;

use rskafka::client::partition::{Compression, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::Record;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::signal::unix::{signal, SignalKind};

type Failed = Box<dyn Error + Send + Sync>;

/// rskafka gathers nothing by itself: each request carries one batch of so many records.
const RECORDS_PER_REQUEST: usize = 500;
const FETCH_BYTES_MAX: i32 = 1_000_000;
const FETCH_WAIT_MS_MAX: i32 = 200;

fn compression(codec: &str) -> Compression {
    match codec {
        "gzip" => Compression::Gzip,
        "snappy" => Compression::Snappy,
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        _ => Compression::NoCompression,
    }
}

async fn partitions(client: &Client, topic: &str) -> Result<Vec<Arc<PartitionClient>>, Failed> {
    let topics = client.list_topics().await?;
    let found = topics.iter().find(|each| each.name == topic).ok_or("no such topic")?;
    let mut clients = Vec::new();
    for partition in &found.partitions {
        let one = client.partition_client(topic, *partition, UnknownTopicHandling::Retry).await?;
        clients.push(Arc::new(one));
    }
    Ok(clients)
}

async fn write(client: &Client, topic: &str, codec: &str) -> Result<(), Failed> {
    let partitions = partitions(client, topic).await?;
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    let mut batches: Vec<Vec<Record>> = vec![Vec::new(); partitions.len()];
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let (key, value) = line.split_once('|').ok_or("a line without a key")?;
        let number = (hasher.hash_one(key) % partitions.len() as u64) as usize;
        batches[number].push(Record {
            key: Some(key.into()),
            value: Some(value.into()),
            headers: BTreeMap::new(),
            timestamp: chrono::Utc::now(),
        });
        if batches[number].len() == RECORDS_PER_REQUEST {
            let batch = std::mem::take(&mut batches[number]);
            partitions[number].produce(batch, compression(codec)).await?;
        }
    }
    for (batch, partition) in batches.into_iter().zip(&partitions) {
        if !batch.is_empty() {
            partition.produce(batch, compression(codec)).await?;
        }
    }
    Ok(())
}

async fn follow(number: usize, partition: Arc<PartitionClient>) -> Result<(), Failed> {
    let mut offset = 0;
    loop {
        let (records, _) = partition
            .fetch_records(offset, 1..FETCH_BYTES_MAX, FETCH_WAIT_MS_MAX)
            .await?;
        let mut out = std::io::stdout().lock();
        for each in records {
            write!(out, "{number} {} ", each.offset)?;
            out.write_all(&each.record.value.unwrap_or_default())?;
            out.write_all(b"\n")?;
            offset = each.offset + 1;
        }
        out.flush()?;
    }
}

async fn read(client: &Client, topic: &str) -> Result<(), Failed> {
    let partitions = partitions(client, topic).await?;
    println!("assigned {}", partitions.len());
    let mut told_to_end = signal(SignalKind::terminate())?;
    let mut readers = tokio::task::JoinSet::new();
    for (number, partition) in partitions.into_iter().enumerate() {
        readers.spawn(follow(number, partition));
    }
    tokio::select! {
        _ = told_to_end.recv() => Ok(()),
        Some(ended) = readers.join_next() => ended?,
    }
}

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().collect();
    let servers = arguments[2].split(',').map(String::from).collect();
    let client = ClientBuilder::new(servers).build().await?;
    match arguments[1].as_str() {
        "write" => write(&client, &arguments[3], &arguments[4]).await,
        _ => read(&client, &arguments[3]).await,
    }
}
