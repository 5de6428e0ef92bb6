// Package dedup knows the id of every command in a ledger's log, so that none
// is carried out twice. What it says decides what is done, so it believes
// nothing it has not checked: a bit that changed on disk is an error, never a
// "no".
//
// # Format
//
// The ids lie in segments, files of a directory of their own that are written
// once and never change. Each holds the ids of a range of records; together
// they cover the log from its first record on, without gaps. A segment is a
// sequence of blocks of 4,096 bytes, each 4,064 bytes of content and the
// SHA-256 that guards them:
//
//	block 0    magic 8 · ledger 16 · first record 8 · last record: sequence 8,
//	           position 8, time 8, hash 32 · count 8 · zeros
//	block n    127 entries of 32 bytes, sorted; zeros behind the last one
//
//	entry      command id 16 · tenant tag 8 · record sequence 8
//
// The checksum of block 0 is that of its content. That of every other block
// covers the checksum of block 0 and the block's number as well, so that a
// sound block in the wrong place, or of another segment, does not pass.
//
// The tag is the start of the SHA-256 of the tenant as it is recorded. Two
// tenants with the same tag are told apart by their records, which whoever asks
// reads anyway.
//
// In memory a segment has the first id of each block and a filter (together
// some 2.2 bytes an id), built from checked blocks. A lookup that the filter
// does not answer reads and checks the one block that could hold the id, also on
// the way to "no".
//
// The ids after the last segment are in memory. They are written as a segment
// when enough have gathered, and segments of a size are merged by fours, all in
// the background. Every file here can be made again from the log.
package dedup
