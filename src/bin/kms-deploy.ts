import { start } from '../cli/start.ts';

await start('kms-deploy');
