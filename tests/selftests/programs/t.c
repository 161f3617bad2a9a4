#include <stdio.h>
#include <unistd.h>
#include <sys/wait.h>
int main(){for(int i=0;i<5;i++){printf("%d\n",i);fflush(stdout);getppid();} if(!fork()){write(1,"c\n",2);getpid();_exit(0);} wait(0);return 0;}
