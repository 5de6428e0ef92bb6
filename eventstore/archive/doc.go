// Package archive keeps a second copy of a ledger beside its log, and backups.
// A ledger on a single server has no peer to be healed from; what the archive
// holds is written by this program alone and carries checksums of its own, so
// that one fault rarely reaches both copies.
//
// # Format
//
// An archive is a directory of segments. A segment is a text file of lines:
//
//	permledger-archive 1 <ledger> <first sequence> <position before> <hash before>
//	<sequence> <CRC-32C> <stored bytes of the record>
//	…
//	end <last sequence> <position> <hash> <SHA-256 of all lines before this one>
//
// Lines rather than frames with a length, because a record is one line of JSON
// already: after any damage the next line end is the next place to go on from,
// where a damaged length would take the rest of the file with it. And a segment
// can be read, searched and turned into an export with any text tool.
//
// The CRC covers the sequence and the record, so each record stands by itself.
// A full segment is sealed with its last line; the SHA-256 there covers
// everything, and no byte of a sealed segment can change unnoticed. The last
// segment of an archive that is in use has no such line yet, and may end in the
// middle of a record after a crash. A backup is one sealed segment that begins
// with the first record, whatever its size.
//
// The chain of hashes is checked as well wherever an archive is read, so that
// intact lines that do not belong together are found.
package archive
