// Package spool is the log on disk behind an outbox: messages that are not yet
// acknowledged, kept over a killed process and a loss of power.
//
// # Format
//
// A folder holds segments, named by their number in 16 hexadecimal digits and
// ".seg", the lowest the oldest. Integers are little endian. A segment begins
// with a header of 36 bytes:
//
//	0   4  "dvob"
//	4   2  version, 1
//	6   2  zero
//	8   8  number of the segment, as in its name
//	16 16  the kernel's boot id, to tell on reading whether its clock still runs
//	32  4  CRC of the 32 bytes before
//
// Then come records, each:
//
//	0   4  n, length of the body
//	4   4  CRC of those four bytes and the body, begun with the header's CRC
//	8   n  body
//
// CRCs are CRC-32C. That a record's begins with its header's makes bytes of
// another segment, which a file system may show after a loss of power, no
// record of this one. The first byte of a body is its kind:
//
//	1  a message: sequence number (8), wall clock in ms since 1970 (8), clock
//	   since the kernel's start in ms (8), length of the topic (2), topic, payload
//	2  done: first (8) and last (8) sequence number of messages that are not
//	   wanted any more
//
// # Recovery
//
// A segment is read up to the first record that is cut short or whose CRC is
// wrong, and only one that ends with a whole record is ever appended to again, so
// nothing comes to lie behind a bad one. What counts are the messages of all segments, less those
// that any done record names; of a message that was written twice, one.
// Segments are removed from the oldest on, each when no message in it is wanted,
// so that a done record is never gone before the messages that it is about.
package spool
