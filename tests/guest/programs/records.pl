# SPDX-License-Identifier: GPL-2.0-only
# Reads a file in small records, unbuffered, seeks about, and writes what it found.
use strict;
use warnings;

open(my $in, '<:raw', $ARGV[0]) or die;
open(my $out, '>:raw', 'records') or die;
my ($sum, $number, $data) = (0, 0, '');
while (sysread($in, $data, 40)) {
    $sum = ($sum * 31 + unpack('%32C*', $data)) % 1000003;
    syswrite($out, sprintf("%d %d\n", ++$number, $sum));
    sysseek($in, 8, 1) unless $number % 5;
}
print "records $number sum $sum\n";
