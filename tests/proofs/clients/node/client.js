// KafkaJS as a process: `client.js write SERVERS TOPIC CODEC` reads `key|value` lines; `client.js read SERVERS TOPIC GROUP`
// prints `partition offset value` lines, and `assigned N` when its share of the partitions has changed.

const readline = require("node:readline");
const { CompressionCodecs, CompressionTypes, Kafka, Partitioners, logLevel } = require("kafkajs");

CompressionCodecs[CompressionTypes.Snappy] = require("kafkajs-snappy");

// Lines are sent in requests of so many records: KafkaJS has no linger of its own.
const RECORDS_PER_REQUEST = 500;

const CODECS = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy };

async function write(kafka, topic, codec) {
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();
  let messages = [];
  const send = async () => {
    await producer.send({ topic, compression: CODECS[codec], messages });
    messages = [];
  };
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const at = line.indexOf("|");
    messages.push({ key: line.slice(0, at), value: line.slice(at + 1) });
    if (messages.length === RECORDS_PER_REQUEST) await send();
  }
  if (messages.length) await send();
  await producer.disconnect();
}

async function read(kafka, topic, groupId) {
  const consumer = kafka.consumer({ groupId });
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    console.log(`assigned ${(payload.memberAssignment[topic] ?? []).length}`);
  });
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    console.error(payload.error);
    process.exitCode = 1;
  });
  process.once("SIGTERM", () => consumer.disconnect());
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ partition, message }) => {
      process.stdout.write(`${partition} ${message.offset} ${message.value}\n`);
    },
  });
}

const [, , command, servers, topic, codecOrGroup] = process.argv;
const kafka = new Kafka({ clientId: "proof", brokers: [servers], logLevel: logLevel.NOTHING });
const run = command === "write" ? write : read;
run(kafka, topic, codecOrGroup).catch((error) => {
  console.error(error);
  process.exit(1);
});
