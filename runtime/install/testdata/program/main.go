// Program stands in for a program that is installed: any static one does.
package main

func main() {}
