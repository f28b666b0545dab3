// Stands in front of a server that wants a token, for a client that cannot send one: every request gets the token and is
// otherwise passed on as it came, Host and Origin among it. For tests only.
//
//   TOKEN=... node forward.mjs PORT      prints its own port; PORT is that of the server on 127.0.0.1
import { createServer, request } from 'node:http';

const port = Number(process.argv[2]);

const server = createServer((req, res) => {
  const { method, url: path, headers } = req;
  const passed = { ...headers, authorization: `Bearer ${process.env.TOKEN}` };
  const onward = request({ host: '127.0.0.1', port, method, path, headers: passed, setHost: false }, (answer) => {
    res.writeHead(answer.statusCode, answer.headers);
    res.flushHeaders();
    answer.pipe(res);
    answer.on('error', () => res.destroy());
  });
  onward.setNoDelay(true);
  onward.on('error', () => res.destroy());
  res.on('close', () => onward.destroy());
  req.pipe(onward);
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
