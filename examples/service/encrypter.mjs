/**
 * Keeps `kms-encrypt --batch` running, and sends it messages as they come. Starting it takes longer
 * than encrypting hundreds of messages, and with AWS KMS it makes one call for thousands of messages
 * of a user.
 */
import { spawn } from 'node:child_process';

/** The exit status for a key service that can't be reached or fails: later, it may work again. */
const unavailable = 5;

const longestRestartDelayMs = 5000;

export class EncryptError extends Error {
  /**
   * @param {string} message
   * @param {string} code kms-encrypt's own for a message that it refused, such as `Usage`;
   *   `Stopped` if it ended, which says nothing about the message; `Closed` after close()
   */
  constructor(message, code) {
    super(message);
    this.code = code;
  }
}

export class Encrypter {
  #options;
  #child;
  /** What is not yet sent, and what is sent and not yet answered. Answers come in this order. */
  #waiting = [];
  #inFlight = [];
  /** How often the process has ended since it last gave an answer. */
  #failures = 0;
  #restartTimer;
  #closed;
  #resolveClosed;

  /**
   * @param {object} [options]
   * @param {NodeJS.ProcessEnv} [options.env] with the settings of kms-encrypt; default: this process's
   * @param {string} [options.cwd] the folder with its `.env`; default: the current one
   * @param {number} [options.maxInFlight] how many messages are sent without an answer at once
   * @param {number} [options.maxFailures] how often in a row the process may end without an answer
   * @param {number} [options.restartDelayMs] before the first restart; doubled for each one after it
   */
  constructor({ env, cwd, maxInFlight = 1000, maxFailures = 5, restartDelayMs = 100 } = {}) {
    this.#options = { env, cwd, maxInFlight, maxFailures, restartDelayMs };
  }

  /** @returns {number | undefined} the process, if it is running */
  get pid() {
    return this.#child?.pid;
  }

  /** @returns {number} how many messages are sent and not yet answered */
  get inFlight() {
    return this.#inFlight.length;
  }

  /**
   * @returns {number} how many messages are not yet answered. If it grows, accept fewer: they are held
   *   in memory
   */
  get pending() {
    return this.#waiting.length + this.#inFlight.length;
  }

  /**
   * Promises are settled in the order of the calls.
   *
   * @param {string} user
   * @param {string | Uint8Array} message
   * @returns {Promise<string>} the ciphertext, in base64
   * @throws {EncryptError}
   */
  encrypt(user, message) {
    return new Promise((resolve, reject) => {
      if (this.#closed) throw new EncryptError('The encrypter is closed.', 'Closed');
      const content =
        typeof message === 'string'
          ? { message }
          : { messageBase64: Buffer.from(message).toString('base64') };
      this.#waiting.push({ line: `${JSON.stringify({ user, ...content })}\n`, resolve, reject });
      this.#send();
    });
  }

  /**
   * Waits for the answers to all messages, then ends the process.
   *
   * @returns {Promise<void>}
   */
  close() {
    this.#closed ??= new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.#endIfDone();
    return this.#closed;
  }

  /** Starts the process. The first message would do the same, and wait for it. */
  start() {
    if (this.#child || this.#restartTimer) return;
    const { env, cwd } = this.#options;
    // What it says on standard error goes to this process's: it belongs in the service's log.
    const stdio = ['pipe', 'pipe', 'inherit'];
    const child = spawn('kms-encrypt', ['--batch'], { env, cwd, stdio });
    this.#child = child;

    // Not node:readline, which takes what a killed process left of its last line for a line.
    let tail = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      const lines = text.split('\n');
      lines[0] = tail + lines[0];
      tail = lines.pop();
      for (const line of lines) this.#receive(JSON.parse(line));
      this.#send();
      this.#endIfDone();
    });
    child.stdin.on('drain', () => this.#send());
    // EPIPE, because the process has ended: `close` says why.
    child.stdin.on('error', () => undefined);
    let reason;
    child.on('error', (error) => (reason = `can't be started (${error.code}): is it on the PATH?`));
    child.on('close', (status, signal) => {
      reason ??= signal
        ? `was ended by ${signal}`
        : `ended with status ${status}: standard error says why`;
      this.#ended(reason, signal !== null || status === unavailable);
    });
  }

  /**
   * Sends what is waiting, as long as the process keeps up: `write` holds what the pipe does not
   * take in memory, and says so by returning false, until `drain`.
   */
  #send() {
    if (this.#waiting.length > 0) this.start();
    const stdin = this.#child?.stdin;
    while (
      stdin?.writable &&
      !stdin.writableNeedDrain &&
      this.#waiting.length > 0 &&
      this.#inFlight.length < this.#options.maxInFlight
    ) {
      const job = this.#waiting.shift();
      this.#inFlight.push(job);
      stdin.write(job.line);
    }
  }

  /** An error is this message's own: the process goes on with the next one. */
  #receive({ ciphertext, error }) {
    this.#failures = 0;
    const { resolve, reject } = this.#inFlight.shift();
    if (error) reject(new EncryptError(error.message, error.code));
    else resolve(ciphertext);
  }

  /**
   * Sends what was in flight again, and first. That is safe: nobody has seen the ciphertext that got
   * lost, and any other of the same message is as good. But a message that ends the process would
   * end the next one, too, so after some failures in a row everything is rejected. Wrong settings or
   * a missing permission would not go away, so they aren't tried again. Either way, the next message
   * starts a new process.
   */
  #ended(reason, canRestart) {
    this.#child = undefined;
    if (this.pending === 0) {
      this.#endIfDone();
      return; // the next message starts it again
    }
    this.#failures += 1;
    this.#waiting.unshift(...this.#inFlight.splice(0));
    const { maxFailures, restartDelayMs } = this.#options;
    if (canRestart && this.#failures < maxFailures) {
      const delayMs = restartDelayMs * 2 ** (this.#failures - 1);
      this.#restartTimer = setTimeout(
        () => {
          this.#restartTimer = undefined;
          this.#send();
        },
        Math.min(delayMs, longestRestartDelayMs),
      );
    } else {
      this.#failures = 0;
      const error = new EncryptError(`kms-encrypt ${reason}.`, 'Stopped');
      for (const { reject } of this.#waiting.splice(0)) reject(error);
    }
    this.#endIfDone();
  }

  #endIfDone() {
    if (!this.#closed || this.pending > 0) return;
    if (this.#child) this.#child.stdin.end();
    else this.#resolveClosed();
  }
}
