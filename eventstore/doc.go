// Package eventstore keeps an append-only ledger of commit records in one
// NATS JetStream stream and decides commands against it, one after the other.
//
// It knows records, positions and JetStream. It knows nothing of what the
// events mean: the decisions are made by a [Decider] and the events are
// translated by a [Codec], both given by the caller.
//
// # The ledger
//
// One JetStream message is one [Record]; one record carries all commands that
// were waiting when the previous record had been stored (group commit), so a
// thousand concurrent clients share one fsync. Records are numbered by the
// stream sequence, events by their position: 1, 2, 3 … without gaps, across
// records. Each record names the SHA-256 of the stored bytes of the record
// before it. The bytes stored are the bytes hashed, exported and verified;
// nothing on the audit path is encoded a second time.
//
// # Safety
//
// Every append carries the sequence it expects to follow (the fence). A second
// node, a paused process or a lost acknowledgement can therefore never
// interleave with a decision: the loser's append is refused, it takes in what
// it missed, decides again and retries. When no acknowledgement arrives the
// writer reads the message at the sequence it tried to write and compares the
// bytes; it never appends blindly a second time.
//
// Every read checks record sequences, positions, the ledger id and the hash
// chain. Whatever does not fit is an [IntegrityError]: the writer stops for
// good and readers stop at the fault, because JetStream can lose messages in
// the middle of a stream without saying so.
package eventstore
