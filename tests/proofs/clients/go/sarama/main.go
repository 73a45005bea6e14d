// Sarama as a process: `sarama write SERVERS TOPIC CODEC` reads `key|value` lines; `sarama read SERVERS TOPIC GROUP`
// prints `partition offset value` lines, and `assigned N` when its share of the partitions has changed.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/IBM/sarama"
)

var codecs = map[string]sarama.CompressionCodec{
	"none":   sarama.CompressionNone,
	"gzip":   sarama.CompressionGZIP,
	"snappy": sarama.CompressionSnappy,
	"lz4":    sarama.CompressionLZ4,
	"zstd":   sarama.CompressionZSTD,
}

func write(servers, topic, codec string) error {
	config := sarama.NewConfig()
	config.Producer.Compression = codecs[codec]
	// A producer that is closed while messages are on their way may drop them: all are waited for.
	config.Producer.Return.Successes = true
	producer, err := sarama.NewAsyncProducer(strings.Split(servers, ","), config)
	if err != nil {
		return err
	}
	sent := make(chan int, 1)
	lines := bufio.NewScanner(os.Stdin)
	go func() {
		count := 0
		for ; lines.Scan(); count++ {
			key, value, _ := strings.Cut(lines.Text(), "|")
			producer.Input() <- &sarama.ProducerMessage{
				Topic: topic, Key: sarama.StringEncoder(key), Value: sarama.StringEncoder(value),
			}
		}
		sent <- count
	}()
	for acknowledged, expected := 0, -1; acknowledged != expected; {
		select {
		case expected = <-sent:
		case <-producer.Successes():
			acknowledged++
		case failed := <-producer.Errors():
			return failed
		}
	}
	if err := producer.Close(); err != nil {
		return err
	}
	return lines.Err()
}

type member struct{ topic string }

func (m member) Setup(session sarama.ConsumerGroupSession) error {
	fmt.Printf("assigned %d\n", len(session.Claims()[m.topic]))
	return nil
}

func (m member) Cleanup(sarama.ConsumerGroupSession) error {
	fmt.Println("assigned 0")
	return nil
}

func (m member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			fmt.Printf("%d %d %s\n", message.Partition, message.Offset, message.Value)
			session.MarkMessage(message, "")
		case <-session.Context().Done():
			return nil
		}
	}
}

func read(servers, topic, group string) error {
	config := sarama.NewConfig()
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	consumer, err := sarama.NewConsumerGroup(strings.Split(servers, ","), group, config)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	for ctx.Err() == nil {
		if err := consumer.Consume(ctx, []string{topic}, member{topic}); err != nil {
			if errors.Is(err, context.Canceled) || errors.Is(err, sarama.ErrClosedConsumerGroup) {
				break
			}
			return err
		}
	}
	return consumer.Close()
}

func main() {
	run := map[string]func(servers, topic, codecOrGroup string) error{"write": write, "read": read}[os.Args[1]]
	if err := run(os.Args[2], os.Args[3], os.Args[4]); err != nil {
		log.Fatal(err)
	}
}
