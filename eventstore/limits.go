package eventstore

import "time"

// The limits of this package. Whoever exceeds one gets an error that says so;
// nothing is cut silently.
const (
	// DefaultQueue is how many submissions wait for their group at most. When
	// the queue is full, Submit answers ErrBusy at once.
	DefaultQueue = 8192

	// DefaultGroup is how many submissions one group takes at most.
	DefaultGroup = 4096

	// MaxRecordBytes bounds the stored bytes of one record. The connection's
	// largest payload, less room for headers, bounds it as well.
	MaxRecordBytes = 4 << 20

	// headerRoom is what the headers of a message may need of the payload.
	headerRoom = 4 << 10

	// MaxEvents is how many events one command may lead to at most.
	MaxEvents = 10_000

	// MaxName bounds the name of a command, in bytes.
	MaxName = 200

	// MaxReason bounds the reason given for a command, in bytes.
	MaxReason = 2000

	// MaxCorrelationID bounds the correlation id of a command, in bytes.
	MaxCorrelationID = 200

	// sharedTurn is for how long a writer of a shared log sends one group after
	// the other while others write too, lonelyTurn while no record of theirs was
	// seen for as long as company. Then it pauses between shortestPause and
	// longestPause.
	sharedTurn    = 100 * time.Millisecond
	lonelyTurn    = time.Second
	company       = 10 * time.Second
	shortestPause = 5 * time.Millisecond
	longestPause  = 100 * time.Millisecond

	// DefaultAppendTimeout is how long a group waits for its record to be
	// stored. After it the outcome is unknown.
	DefaultAppendTimeout = 10 * time.Second

	// DefaultClockLead is how far the time of a record may lead what the time
	// should be, and how far the clock may be behind the last record.
	DefaultClockLead = time.Minute

	// maxIdle is how old the last record may be when a run begins. A ledger may
	// rest for weeks; a clock that is wrong is mostly wrong by more.
	maxIdle = 30 * 24 * time.Hour

	// clockDrift is the part of the time passed that two clocks may drift apart
	// in it: one in a thousand, several times what bad ones do.
	clockDrift = 1000

	// DefaultTimeout is how long one request to the server may take.
	DefaultTimeout = 5 * time.Second

	// askAgain is how long a question to a cluster waits for its answer before it
	// is asked again, and leaveAfter how long a server may leave everything
	// without an answer before another one is tried.
	askAgain   = 250 * time.Millisecond
	leaveAfter = 750 * time.Millisecond
	// leaveReplica is how long a replica may take for a record that the leader
	// has as well.
	leaveReplica = 500 * time.Millisecond
	// askReplicaAgain is how long a batch may take to begin before it is asked for
	// again, batchAsked how often it is asked for at most.
	askReplicaAgain = 100 * time.Millisecond
	batchAsked      = 4
	// hungFor is how long after one has hung several are asked at once.
	hungFor = 10 * time.Second

	// firstSend is how long a record sent to a cluster waits for its answer
	// before it is sent again behind the same fence; the next ones wait longer, but
	// no more than a quarter of the time there is: right after a change of server
	// the way back is not known everywhere, and an answer gets lost.
	firstSend = 250 * time.Millisecond

	// longestRetry is the longest pause between two attempts to get on.
	longestRetry = 200 * time.Millisecond

	// electionless is how long after a replica has heard its leader no other one
	// can be elected with its vote: an election begins after 4 s at the earliest.
	electionless = 2500 * time.Millisecond

	// pollInterval is how often the head of the stream is compared with what
	// is known of it, so that a lost tail or a lost notice is found.
	pollInterval = 5 * time.Second

	// followAgain is the longest pause of a reader whose server cannot be asked.
	followAgain = time.Second

	// batchRecords and batchBytes bound one batched read. A batch ends with
	// the record that reaches the bytes, so it may exceed them by one record.
	batchRecords = 1024
	batchBytes   = 1 << 20

	// windowRecords and windowBytes bound what an import has on its way to its
	// own server.
	windowRecords = 256
	windowBytes   = 16 << 20

	// behindTries and behindWait are how often, and after what pause, a leader that
	// is behind what is known is asked again before that counts as a finding.
	behindTries = 5
	behindWait  = 20 * time.Millisecond

	// confirmWait is how long to wait before a question is asked once more.
	confirmWait = 250 * time.Millisecond

	// DefaultConfirm is how long what speaks against a shared log must last, in
	// answers with a majority, before it is called damage. An election takes 4
	// to 9 s, and a leader that was cut off answers for about 10 s more.
	DefaultConfirm = 30 * time.Second

	// firstLook and doubtPause are the shortest and the longest pause between
	// two looks at a log in doubt; damagePause is that at a shared log that is
	// damaged, ownDamagePause at one of this process's own server. The latter is
	// longer than the server keeps what it has read.
	firstLook      = 20 * time.Millisecond
	doubtPause     = 500 * time.Millisecond
	damagePause    = 5 * time.Second
	ownDamagePause = 15 * time.Second

	// maxRechecks is how many checks of others must pass besides before a log
	// is sound again.
	maxRechecks = 16

	// quorumSilence is how long a replica may not have been heard by its leader
	// and still count for the majority.
	quorumSilence = 5 * time.Second

	// openWait is how long Open waits for the servers of a shared log, and
	// createWait for a stream to be made: a cluster that has just started may
	// have no leader yet.
	openWait   = 30 * time.Second
	createWait = 30 * time.Second
	// createTry bounds one request for that.
	createTry = 10 * time.Second
)
