# SPDX-License-Identifier: GPL-2.0-only
# A repository with a few commits, looked through and packed.
set -e
export GIT_AUTHOR_DATE="@1700000000 +0000" GIT_COMMITTER_DATE="@1700000000 +0000"
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export GIT_AUTHOR_NAME=test GIT_AUTHOR_EMAIL=test@example.test
export GIT_COMMITTER_NAME=test GIT_COMMITTER_EMAIL=test@example.test
git init -q --template= -b main repository
cp -r "$1" repository/tree
cd repository
git add tree
git commit -q -m "all files"
echo more >> tree/d1/f1
git commit -q -a -m "one more line"
git log --stat --format="%H %s"
git repack -q -a -d --threads=1
git fsck --full --strict
git ls-files -s
# Times of files are in it.
rm .git/index
