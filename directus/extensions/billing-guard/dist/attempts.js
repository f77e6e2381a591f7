/**
 * Recent failures of a password or a code, and how long the next try has to wait.
 *
 * Pure: the time is passed in, in milliseconds of any monotonic clock; nothing is read and nothing sleeps. The account is
 * whatever the caller names: one that does not exist is counted like one that does. A try counts when it starts, so fifty
 * at once get no further than fifty in sequence.
 */
const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** One account from one address, and one address over all accounts: free failures within this time. */
const PAIR = { free: 5, within: 15 * MINUTE };
const ADDRESS = { free: 30, within: 10 * MINUTE };
/** After that, each failure is followed by a wait that doubles. */
const FIRST_WAIT = 5 * SECOND;
const LONGEST_WAIT = 60 * SECOND;
/** How long it takes until tries in progress that could use up the free ones are decided. */
const WAIT_FOR_OTHERS = SECOND;

/** One account from all addresses is slowed, never refused: otherwise a stranger could lock its owner out. */
const ACCOUNT = { free: 5, within: 15 * MINUTE };
const DELAY = SECOND / 4;
const LONGEST_DELAY = 2 * SECOND;

/** How many pairs, addresses and accounts are remembered, each. */
export const MOST_ROWS = 20_000;

export const [FAILED, SUCCEEDED, UNDECIDED] = ['failed', 'succeeded', 'undecided'];

export class Attempts {
	#pairs;
	#addresses;
	#accounts;

	constructor(mostRows = MOST_ROWS) {
		const doublings = Math.ceil(Math.log2(LONGEST_WAIT / FIRST_WAIT));
		this.#pairs = new Failures(PAIR, doublings, mostRows);
		this.#addresses = new Failures(ADDRESS, doublings, mostRows);
		this.#accounts = new Failures(ACCOUNT, LONGEST_DELAY / DELAY, mostRows);
	}

	/**
	 * Start a try. Returns `{ wait }` in milliseconds if it has to wait, otherwise `{ wait: 0, delay, end }`: delay it by
	 * `delay` milliseconds and call `end(outcome, now)` once.
	 */
	begin(account, address, now) {
		const pair = `${account} ${address}`;
		const wait = Math.max(waitOf(this.#pairs.of(pair, now), PAIR, now), waitOf(this.#addresses.of(address, now), ADDRESS, now));
		if (wait > 0) return { wait };
		const { failures, underWay } = this.#accounts.of(account, now);
		const delay = Math.min(LONGEST_DELAY, DELAY * Math.max(0, failures + underWay - ACCOUNT.free + 1));
		const counted = [
			[this.#pairs, pair],
			[this.#addresses, address],
			[this.#accounts, account],
		];
		for (const [counter, key] of counted) counter.begin(key, now);
		const end = (outcome, later) => {
			for (const [counter, key] of counted) counter.end(key, outcome === FAILED, later);
			// A success identifies this address. It says nothing about other addresses that try this account, nor about
			// this address's tries of other accounts.
			if (outcome === SUCCEEDED) this.#pairs.forget(pair);
		};
		return { wait: 0, delay, end };
	}

	/** How many rows are in memory. */
	get rows() {
		return this.#pairs.size + this.#addresses.size + this.#accounts.size;
	}
}

function waitOf({ failures, last, underWay }, { free }, now) {
	if (failures + underWay < free) return 0;
	if (failures >= free) {
		const wait = last + Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** (failures - free)) - now;
		if (wait > 0) return wait;
	}
	return underWay > 0 ? WAIT_FOR_OTHERS : 0;
}

/**
 * When the last failures of each key were, for at most `most` keys.
 *
 * Lapsed keys are dropped first, then the key with the fewest failures, the longest quiet one among equals. A stranger who
 * invents addresses evicts the ones invented before; to evict a counter that refuses, they must bring every other key to
 * as many failures, and each of these is a guess they could have made.
 */
class Failures {
	#within;
	#kept;
	#most;
	#rows = new Map();
	/** The rows by number of failures, in the order in which they were touched. */
	#ranks;

	/** `steps`: how many failures beyond the free ones make a difference; older ones are not kept. */
	constructor({ free, within }, steps, most) {
		this.#within = within;
		this.#kept = free + steps;
		this.#most = most;
		this.#ranks = Array.from({ length: this.#kept + 2 }, () => new Map());
	}

	get size() {
		return this.#rows.size;
	}

	of(key, now) {
		const row = this.#rows.get(key);
		const times = row ? this.#recent(row, now) : [];
		return { failures: times.length, last: times.at(-1), underWay: row?.underWay ?? 0 };
	}

	begin(key, now) {
		const row = this.#take(key);
		row.underWay += 1;
		row.times = this.#recent(row, now);
		if (this.#rows.size >= this.#most) this.#makeRoom(now);
		this.#put(key, row);
	}

	end(key, failed, now) {
		const row = this.#take(key);
		row.underWay = Math.max(0, row.underWay - 1);
		row.times = this.#recent(row, now);
		if (failed) row.times = [...row.times, now].slice(-this.#kept);
		if (row.underWay === 0 && row.times.length === 0) return;
		if (this.#rows.size >= this.#most) this.#makeRoom(now);
		this.#put(key, row);
	}

	/** Forget the failures, not the tries in progress. */
	forget(key) {
		const row = this.#take(key);
		row.times = [];
		if (row.underWay > 0) this.#put(key, row);
	}

	#recent({ times }, now) {
		return times.filter((time) => time > now - this.#within);
	}

	#take(key) {
		const row = this.#rows.get(key) ?? { times: [], underWay: 0 };
		this.#rows.delete(key);
		this.#rankOf(row).delete(key);
		return row;
	}

	#put(key, row) {
		this.#rows.set(key, row);
		this.#rankOf(row).set(key, row);
	}

	#rankOf({ times, underWay }) {
		return this.#ranks[times.length + (underWay > 0 ? 1 : 0)];
	}

	#makeRoom(now) {
		for (const rank of this.#ranks) {
			for (const [key, row] of rank) {
				if (row.underWay > 0 || this.#recent(row, now).length > 0) break;
				this.#take(key);
			}
		}
		if (this.#rows.size < this.#most) return;
		const [fewest] = this.#ranks.filter((rank) => rank.size > 0);
		this.#take(fewest.keys().next().value);
	}
}
