-- SPDX-License-Identifier: GPL-2.0-only
-- Each line of a file turned around, written at once.
io.stdout:setvbuf("no")
local seen = {}
for line in io.lines(arg[1]) do
  seen[#line] = (seen[#line] or 0) + 1
  io.write(seen[#line], " ", line:reverse(), "\n")
end
