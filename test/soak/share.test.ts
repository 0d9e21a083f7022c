/** A minute's share of `npm run soak`, each time of other cases: see CONTRIBUTING.md. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { soak } from '../../soak/soak.ts';

test('changed ciphertexts, faults and kills: a share of the soak finds nothing', async () => {
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
  const said: string[] = [];
  const isClean = await soak({
    seed: String(Date.now()),
    counts: { ciphertexts: 2500, faults: 40, kills: 27 },
    // On a machine that is busy with other tests, the rest is left for another time.
    maxSeconds: { ciphertexts: 20, faults: 12, kills: 12 },
    say: (text) => said.push(text),
  });
  const runs = said.flatMap((text) => /^[a-z]+: (\d+) runs/.exec(text)?.slice(1).map(Number) ?? []);
  assert.equal(runs.filter((each) => each > 0).length, 3, said.join('\n'));
  assert.ok(isClean, said.join('\n'));
});
