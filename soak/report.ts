/** What a run has to say: a table for each part and each way to look at it, and what it found. */
export interface Finding {
  /** Such as `ciphertexts/4711`: what `--case` takes. */
  readonly name: string;
  readonly what: string;
  /** All that it takes to see it again without this program. */
  readonly input: string;
}

interface Row {
  runs: number;
  findings: number;
  readonly outcomes: Map<string, number>;
}

export interface Tally {
  /** @param labels what this case was, in each of the views */
  readonly count: (labels: readonly string[], outcome: string) => void;
  readonly find: (labels: readonly string[], finding: Finding) => void;
  readonly findings: readonly Finding[];
  readonly runs: () => number;
  /** @returns a table for each view */
  readonly tables: () => string;
}

/**
 * @param views how to look at the cases: `message`, `change`
 * @param expected the rows of each view that must come, whether or not a case ran
 */
export function createTally(
  title: string,
  views: readonly string[],
  expected: readonly (readonly string[])[],
): Tally {
  const tables = views.map((_, index) => new Map(expected[index]?.map((name) => [name, newRow()])));
  const findings: Finding[] = [];
  let runs = 0;
  const rowsOf = (labels: readonly string[]): Row[] =>
    labels.map((label, index) => {
      const row = tables[index]?.get(label) ?? newRow();
      tables[index]?.set(label, row);
      return row;
    });
  return {
    findings,
    runs: () => runs,
    count: (labels, outcome) => {
      runs += 1;
      for (const row of rowsOf(labels)) {
        row.runs += 1;
        row.outcomes.set(outcome, (row.outcomes.get(outcome) ?? 0) + 1);
      }
    },
    find: (labels, finding) => {
      findings.push(finding);
      for (const row of rowsOf(labels)) row.findings += 1;
    },
    tables: () =>
      views
        .map((view, index) => tableOf(`${title}, by ${view}`, tables[index] ?? new Map()))
        .join('\n'),
  };
}

const newRow = (): Row => ({ runs: 0, findings: 0, outcomes: new Map() });

function tableOf(title: string, rows: ReadonlyMap<string, Row>): string {
  const cells = [...rows].map(([name, row]) => cellsOf(name, row));
  const head = [title, 'runs', 'findings', 'outcomes'];
  const widths = head.map((_, column) =>
    Math.max(...[head, ...cells].map((row) => row[column]?.length ?? 0)),
  );
  const line = ([
    name = '',
    runs = '',
    findings = '',
    outcomes = '',
  ]: readonly string[]): string => {
    const [nameWidth = 0, runsWidth = 0, findingsWidth = 0] = widths;
    const numbers = [runs.padStart(runsWidth), findings.padStart(findingsWidth)];
    return [name.padEnd(nameWidth), ...numbers, outcomes].join('  ');
  };
  return `${[head, ...cells].map(line).join('\n')}\n`;
}

function cellsOf(name: string, { runs, findings, outcomes }: Row): string[] {
  const sorted = [...outcomes].sort(([, a], [, b]) => b - a);
  const text = sorted.map(([outcome, count]) => `${outcome} ${count}`).join(', ');
  return [name, String(runs), String(findings), text === '' ? 'not run' : text];
}
