// Package visualize shows which patches of a picture a pruned model keeps: as a
// picture with a panel a stage ([Look.Strip]), as a page for a folder ([Page]), and
// as a count of how often each position is kept ([Tally]).
package visualize
