// franz-go as a process: `franz write SERVERS TOPIC CODEC` reads `key|value` lines; `franz read SERVERS TOPIC GROUP`
// prints `partition offset value` lines, and `assigned N` when its share of the partitions has changed.
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"github.com/twmb/franz-go/pkg/kgo"
)

var codecs = map[string]kgo.CompressionCodec{
	"none":   kgo.NoCompression(),
	"gzip":   kgo.GzipCompression(),
	"snappy": kgo.SnappyCompression(),
	"lz4":    kgo.Lz4Compression(),
	"zstd":   kgo.ZstdCompression(),
}

func write(servers, topic, codec string) error {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(servers, ",")...),
		kgo.DefaultProduceTopic(topic),
		kgo.ProducerBatchCompression(codecs[codec]),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	var once sync.Once
	var failed error
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), "|")
		record := &kgo.Record{Key: []byte(key), Value: []byte(value)}
		client.Produce(context.Background(), record, func(_ *kgo.Record, err error) {
			if err != nil {
				once.Do(func() { failed = err })
			}
		})
	}
	if err := client.Flush(context.Background()); err != nil {
		return err
	}
	if failed != nil {
		return failed
	}
	return lines.Err()
}

// share counts a member's partitions. Assignments are told as changes: franz-go rebalances cooperatively.
type share struct {
	mutex sync.Mutex
	count int
}

func (s *share) change(by int) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.count += by
	fmt.Printf("assigned %d\n", s.count)
}

func read(servers, topic, group string) error {
	var own share
	gained := func(_ context.Context, _ *kgo.Client, now map[string][]int32) { own.change(len(now[topic])) }
	gone := func(ctx context.Context, client *kgo.Client, before map[string][]int32) {
		if err := client.CommitUncommittedOffsets(ctx); err != nil {
			log.Printf("commit: %v", err)
		}
		own.change(-len(before[topic]))
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(servers, ",")...),
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.OnPartitionsAssigned(gained),
		kgo.OnPartitionsRevoked(gone),
		// What is polled is printed before a rebalance takes partitions away.
		kgo.BlockRebalanceOnPoll(),
	)
	if err != nil {
		return err
	}
	defer client.CloseAllowingRebalance()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if errs := fetches.Errors(); len(errs) > 0 {
			return errs[0].Err
		}
		fetches.EachRecord(func(record *kgo.Record) {
			fmt.Printf("%d %d %s\n", record.Partition, record.Offset, record.Value)
		})
		client.AllowRebalance()
	}
}

func main() {
	run := map[string]func(servers, topic, codecOrGroup string) error{"write": write, "read": read}[os.Args[1]]
	if err := run(os.Args[2], os.Args[3], os.Args[4]); err != nil {
		log.Fatal(err)
	}
}
