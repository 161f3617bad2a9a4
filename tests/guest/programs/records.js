// SPDX-License-Identifier: GPL-2.0-only
// Reads a file in small records, synchronously and then through its thread pool.
const fs = require('fs');
const file = fs.openSync(process.argv[2]);
const data = Buffer.alloc(64);
let sum = 0;
for (let at = 0, got; (got = fs.readSync(file, data, 0, 64, at)) > 0; at += got)
  for (let i = 0; i < got; i++) sum = (sum * 31 + data[i]) % 1000003;
console.log('sum', sum);
const out = fs.openSync('records', 'w');
for (let i = 0; i < 1000; i++) fs.writeSync(out, `${i} ${(i * sum) % 1000003}\n`);
fs.promises.readFile('records').then((all) => console.log('size', all.length));
