/** For a run that has something to undo elsewhere before a signal (Ctrl-C) may end it. */
let controller: AbortController | undefined;

/**
 * From now on the first signal doesn't end the run, but aborts what is returned here: the command
 * tidies up and throws. A second signal ends it at once.
 */
export function deferSignals(): AbortSignal {
  controller ??= new AbortController();
  return controller.signal;
}

/** @returns whether the command ends by itself */
export function interrupt(signal: NodeJS.Signals): boolean {
  if (controller === undefined || controller.signal.aborted) return false;
  controller.abort(signal);
  return true;
}

/** The signal by which the run is to end, once it has tidied up. */
export const deferredSignal = (): NodeJS.Signals | undefined =>
  controller?.signal.reason as NodeJS.Signals | undefined;
